"""Take back what answers by default, and give it back: acts in the store that every serving process follows."""

from __future__ import annotations

from host.exclusion import alone_in
from model_store.acts import Act
from model_store.release import UnknownReleaseError
from model_store.signing import VerificationError
from model_store.store import Store


class AnotherAnswersError(RuntimeError):
    """What answers by default is not what was seen to when it was decided to withdraw it."""


def roll_back(store: Store, model: str, why: str, *, seen: int | None = None) -> Act:
    """Withdraw what answers by default, so that what answered before it does again.

    That is the promoted variant of a release, else the release, sound or not; one made later answers by default again.
    `seen` is the release that the decision was made about.

    Raises:
        UnknownReleaseError: there is no such model, or nothing to go back to.
        VerificationError: the release to go back to, or an act, does not verify.
        AnotherAnswersError: not the release that was seen answers by default, but another.
    """
    if not (store.root / model).is_dir():
        raise UnknownReleaseError(f"there is no model {model!r} in {store.root}")
    with alone_in(store.root / model):
        return _withdraw(store, model, why, seen)


def _withdraw(store: Store, model: str, why: str, seen: int | None) -> Act:
    releases, course = store.releases(model), store.course(model)
    current = course.current(releases)
    if current is None:
        raise UnknownReleaseError(f"no release of {model!r} in {store.root} can be withdrawn: there is none")
    if seen not in (None, current):
        raise AnotherAnswersError(f"{model} answers by release {current} now; look at it again, then decide")
    promoted = course.promoted.get(current)
    if promoted is not None and promoted != _find_default(store, model, current):
        return store.acts(model).add("withdraw", f"{current}-{promoted}", why)
    older = course.current(release for release in releases if release < current)
    if older is None:
        raise UnknownReleaseError(f"{model} has nothing to go back to from release {current}: no older one may answer")
    store.open(model, older)
    return store.acts(model).add("withdraw", str(current), why)


def _find_default(store: Store, model: str, release: int) -> str | None:
    try:
        return store.open(model, release).index.default
    except VerificationError:
        return None


def restore(store: Store, model: str, release: int, why: str) -> Act:
    """Let a withdrawn release answer again.

    Raises:
        UnknownReleaseError: there is no such release, or it was not withdrawn.
        VerificationError: the release or an act does not verify.
    """
    store.open(model, release)
    if str(release) not in store.course(model).withdrawn:
        raise UnknownReleaseError(f"{model} release {release} was not withdrawn; there is nothing to restore")
    return store.acts(model).add("restore", str(release), why)
