from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from services.gateway.keys import KeyFile, KeysError
from services.keys_cli import app, parse_expiry

NOW = datetime(2027, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("12h", datetime(2027, 1, 2, 0, tzinfo=UTC)),
        ("30d", datetime(2027, 1, 31, 12, tzinfo=UTC)),
        ("2027-01-31", datetime(2027, 2, 1, tzinfo=UTC)),
        ("never", None),
    ],
)
def test_reads_when_a_key_ends(text, end):
    assert parse_expiry(text, NOW) == end


@pytest.mark.parametrize(("text", "words"), [("soon", "takes 12h, 90d"), ("2026-12-31", "passed"), ("0d", "passed")])
def test_says_what_is_wrong_with_an_end(text, words):
    with pytest.raises(KeysError, match=words):
        parse_expiry(text, NOW)


def test_adds_lists_and_revokes(tmp_path, monkeypatch):
    monkeypatch.setenv("MILLRACE_API_KEYS", str(tmp_path / "keys.json"))
    run = CliRunner().invoke
    made = run(app, ["add", "phone", "--models", "net, gan", "--verbs", "infer", "--expires", "2099-12-31"])
    assert made.exit_code == 0
    (key,) = KeyFile(tmp_path / "keys.json").read()
    assert made.stdout.startswith(f"mlr_{key.id}_")
    assert f"serve with --api-keys {tmp_path}/keys.json" in made.stderr
    assert run(app, ["list"]).stdout == f"{key.id}  phone  net, gan  infer  until 2100-01-01 00:00\n"
    assert run(app, ["revoke", "phone"]).stdout.startswith(f"revoked {key.id}")
    assert run(app, ["list"]).stdout == ""
    wrong = run(app, ["add", "phone", "--verbs", "dance"])
    assert (wrong.exit_code, "--verbs takes infer, read, admin; got 'dance'" in wrong.stderr) == (2, True)
