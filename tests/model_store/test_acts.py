import pytest

from model_store.release import UnknownReleaseError
from model_store.rollback import AnotherAnswersError, restore, roll_back
from model_store.signing import Keyring, VerificationError
from model_store.store import Store


@pytest.fixture
def acts(store, add_release):
    for _ in range(3):
        add_release()
    return store.acts("net")


def resolved(store):
    release, variant = store.resolve("net")
    return f"{release.number}-{variant}"


def test_a_rollback_withdraws_the_newest_release_until_a_newer_one_comes(store, acts, add_release):
    assert roll_back(store, "net", "wrong labels").version == "3"
    assert resolved(store) == "2-int8"
    assert roll_back(store, "net", "these too").version == "2"
    assert resolved(store) == "1-int8"
    with pytest.raises(UnknownReleaseError, match="nothing to go back to from release 1"):
        roll_back(store, "net", "all of them")
    add_release()
    assert resolved(store) == "4-int8"


def test_a_decision_about_a_release_that_answers_no_longer_is_refused(store, acts):
    roll_back(store, "net", "wrong labels", seen=3)
    with pytest.raises(AnotherAnswersError, match="net answers by release 2 now"):
        roll_back(store, "net", "wrong labels", seen=3)
    with pytest.raises(UnknownReleaseError, match="no model 'nut'"):
        roll_back(store, "nut", "a slip of the pen")


def test_a_withdrawn_release_can_be_asked_for_by_its_number_and_restored(store, acts):
    roll_back(store, "net", "a mistake")
    assert store.resolve("net", "3")[0].number == 3
    restore(store, "net", 3, "it was right")
    assert resolved(store) == "3-int8"
    with pytest.raises(UnknownReleaseError, match="release 3 was not withdrawn"):
        restore(store, "net", 3, "again")


def test_a_promoted_variant_is_the_default_and_is_rolled_back_alone(store, acts):
    acts.add("promote", "3-eager", "it agreed", against="3-int8")
    assert resolved(store) == "3-eager"
    assert roll_back(store, "net", "slow").version == "3-eager"
    assert resolved(store) == "3-int8"


def test_a_dropped_candidate_of_another_release_never_becomes_the_newest(store, acts):
    acts.add("drop", "3-int8", "it did not agree", against="2-int8")
    assert resolved(store) == "2-int8"


def test_a_dropped_variant_of_the_same_release_leaves_the_release_alone(store, acts):
    acts.add("drop", "3-eager", "it did not agree", against="3-int8")
    assert resolved(store) == "3-int8"


def test_goes_back_to_nothing_that_does_not_verify(store, acts):
    (store.root / "net" / "2" / "net-2-int8.mar").write_bytes(b"other")
    with pytest.raises(VerificationError, match=r"net-2-int8\.mar is not the file that was signed"):
        roll_back(store, "net", "bad")
    assert acts.read() == []


def test_a_release_that_does_not_verify_can_be_withdrawn(store, acts):
    (store.root / "net" / "3" / "net-3-int8.mar").write_bytes(b"other")
    assert roll_back(store, "net", "bad").version == "3"
    assert resolved(store) == "2-int8"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "1.json").unlink(), "one is missing"),
        (lambda folder: (folder / "2.json").write_text("{}"), "no signed act"),
        (lambda folder: (folder / "2.json").write_bytes((folder / "1.json").read_bytes()), "moved from its place"),
        (
            lambda folder: (folder / "2.json").write_text(
                (folder / "2.json").read_text().replace("why two", "why not")
            ),
            "was changed after it was signed",
        ),
    ],
)
def test_acts_that_were_changed_moved_or_taken_away_do_not_verify(store, acts, spoil, message):
    acts.add("withdraw", "3", "why one")
    acts.add("withdraw", "2", "why two")
    spoil(acts.folder)
    with pytest.raises(VerificationError, match=message):
        store.resolve("net")


def test_an_act_by_an_unknown_key_does_not_count(store, acts, tmp_path):
    Store(store.root, Keyring(tmp_path / "stranger")).acts("net").add("withdraw", "3", "let me")
    with pytest.raises(VerificationError, match="not trusted here"):
        store.course("net")


def test_two_writers_take_numbers_of_their_own(store, acts, monkeypatch):
    other = store.acts("net")
    write = acts._write

    def be_overtaken(act):
        monkeypatch.setattr(acts, "_write", write)
        other.add("withdraw", "3", "first")
        return write(act)

    monkeypatch.setattr(acts, "_write", be_overtaken)
    assert acts.add("withdraw", "2", "second").number == 2
    assert [act.why for act in acts.read()] == ["first", "second"]


def test_prune_keeps_the_release_that_answers(store, acts):
    roll_back(store, "net", "bad")
    assert store.prune(keep=1) == [store.root / "net" / "1"]
    assert store.releases("net") == [2, 3]
