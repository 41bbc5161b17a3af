import os
import subprocess
import sys
import time

from loadtests.measure.neighbours import Neighbour, Neighbours, average_neighbours, watch_neighbours

BURN = "import time\nend = time.time() + {seconds}\nwhile time.time() < end: pass"


def test_processes_of_others_are_named_and_ones_own_are_not(tmp_path):
    # Of this run: those of the same test in another checkout are others' too.
    neighbour, child, ended = (f"{name}-{os.getpid()}" for name in ("other", "child", "ended"))
    for name in (neighbour, child, ended):
        (tmp_path / name).symlink_to(sys.executable)
    with watch_neighbours() as describe:
        # Forked away from here: nobody's child.
        stranger = [tmp_path / neighbour, "-S", "-c", BURN.format(seconds=1.2)]
        subprocess.run(["setsid", "--fork", *stranger], check=True)
        subprocess.run([tmp_path / ended, "-S", "-c", BURN.format(seconds=0.3)], check=True)
        with subprocess.Popen([tmp_path / child, "-S", "-c", BURN.format(seconds=0.8)]) as own:
            time.sleep(0.6)
            seen = describe()
            own.wait()
    everyone = dict.fromkeys(item.name for item in seen.named)
    assert not {child, ended} & everyone.keys()
    assert neighbour in everyone or len(everyone) == 3  # three others were busier
    assert seen.cores > 0.05


def test_the_average_names_the_busiest():
    seen = [
        Neighbours(cores=1.0, stolen_cores=0.2, named=(Neighbour(name="cc1plus", cores=1.0),)),
        Neighbours(cores=0.6, stolen_cores=0.0, named=(Neighbour(name="backup", cores=0.4),)),
    ]
    average = average_neighbours(seen)
    assert [neighbour.name for neighbour in average.named] == ["cc1plus", "backup"]
    assert average.text == "others kept 0.9 cores busy (cc1plus 0.5, backup 0.2, other machines of this host 0.1)"
    assert Neighbours(cores=0.0, stolen_cores=0.0).text == ""
