"""Choose what to serve: verified releases of the store, by what was asked, the routing file and devices here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial

from model_store.acts import Course
from model_store.certificate import Setup, describe_host_class, find_certificate
from model_store.default_variant import Objective, choose_default
from model_store.release import EXAMPLES_NAME, Release, UnknownReleaseError
from model_store.signing import VerificationError
from model_store.store import Store
from model_store.version import split_version
from services.catalogue import Catalogue, ServedVariant
from services.fitting import NothingToServeError, find_misfits
from services.gateway.live_gate import choose_margin
from services.gateway.routing import ModelRouting, Routing, RoutingError
from services.opened_releases import UNUSABLE


@dataclass(frozen=True)
class Wish:
    """What a process was asked to serve.

    `models` are names, whose current releases are followed, or `name:release` for one release whatever comes; none =
    all models that the store has. `variants` are names, the first of which is the default, or `all`;
    `default`, `reference` and `front` stand for what each release calls so. With `setup`, each gets the certificate for
    being served so on this machine, if there is one.
    """

    models: tuple[str, ...]
    variants: tuple[str, ...]
    device: str
    setup: Setup | None = None

    def names(self, store: Store) -> list[str]:
        """List the models' names, each once."""
        return list(dict.fromkeys(name.partition(":")[0] for name in self.models or store.models()))

    def fixed_releases(self, model: str) -> list[int]:
        """List the releases of a model that are served whatever comes."""
        given = (name.partition(":") for name in self.models)
        return [_to_number(model, release) for name, _, release in given if name == model and release]

    def follows(self, model: str) -> bool:
        """Say whether a model's current release is served, whichever that is."""
        return not self.models or model in self.models


@dataclass(frozen=True)
class ModelPlan:
    """What should be served of one model; candidates are what its routing tries out.

    `left_out` says of versions of the same releases that this machine cannot run why.
    """

    default: ServedVariant
    others: tuple[ServedVariant, ...] = ()
    candidates: tuple[ServedVariant, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def variants(self) -> list[ServedVariant]:
        """All of them, the default first."""
        return [self.default, *self.others, *self.candidates]


class Planner:
    """Decide what should be served."""

    def __init__(
        self,
        store: Store,
        wish: Wish,
        open_release: Callable[[str, int], Release] | None = None,
        refuse: Callable[[str, str, str], None] | None = None,
    ) -> None:
        """`open_release` verifies a release, or knows it already; by default the store does.

        `refuse` is told of a release that does not verify and that an older one stands in for, and of a model that is
        left out; without it either is an error.
        """
        self.store = store
        self.wish = wish
        self._open_release = open_release or cache(store.open)  # verifying reads whole archives
        self.refuse = refuse

    def plan_model(self, model: str, routing: ModelRouting) -> ModelPlan:
        """Decide what should be served of a model.

        Raises:
            NothingToServeError, UnknownReleaseError, VerificationError: each says what there is and what to do.
        """
        known = self.store.releases(model)
        course = self.store.course(model)
        opened = [self._open(model, number, known) for number in self.wish.fixed_releases(model)]
        if self.wish.follows(model):
            opened.append(self._open_current(model, known, course, routing))
        chosen: dict[str, ServedVariant] = {}
        left_out: dict[str, str] = {}
        default = ""
        for release in opened:
            variants = self._choose(release, course)
            chosen |= {variant.version: variant for variant in variants}
            default = next(variant.version for variant in variants if variant.is_default)
            misfits = find_misfits(release, self.wish.device)
            left_out |= {f"{release.number}-{name}": why for name, why in misfits.items()}
        shadow = routing.shadow
        if shadow is not None and shadow.promote and _is_promoted(shadow.to, course):
            default = shadow.to  # instead of the pin that held its place
        elif routing.pin is not None:
            default = routing.pin
        named = {version: self._choose_one(model, version, known, course) for version in {default, *routing.versions}}
        chosen |= {default: chosen.get(default) or named[default]}
        candidates = [
            named[version]
            for version in sorted(routing.candidates - {default})
            if version not in course.withdrawn and version not in chosen
        ]
        others = [variant for version, variant in chosen.items() if version != default]
        return ModelPlan(chosen[default], tuple(others), tuple(candidates), left_out)

    def check_routing(self, routing: Routing) -> None:
        """Make sure that all versions which a routing names are there and may serve.

        Raises:
            NothingToServeError, UnknownReleaseError, VerificationError: says which is not.
            RoutingError: a shadow cannot be judged, or what is decided not be signed.
        """
        for model, rules in routing.models.items():
            known, course = self.store.releases(model), self.store.course(model)
            if not known:
                self.store.resolve(model)  # says what there is
            for version in sorted(rules.versions):
                self._choose_one(model, version, known, course)
            if rules.shadow is not None:
                choose_margin(self._choose_one(model, rules.shadow.to, known, course), rules.shadow.margin)
                if rules.shadow.promote and not self.store.keyring.can_sign:
                    raise RoutingError(
                        f"the shadow of {model} says `promote`, which this machine cannot sign: there is no "
                        f"{self.store.keyring.folder}/signing.pem"
                    )

    def _open(self, model: str, number: int, known: Sequence[int]) -> Release:
        if number not in known:
            self.store.resolve(model, str(number))  # says what there is
        return self._open_release(model, number)

    def _open_current(self, model: str, known: Sequence[int], course: Course, routing: ModelRouting) -> Release:
        """Open the release that answers by default: one whose default is still being tried out does not."""
        left, held_back = list(known), None
        while (number := course.current(left)) is not None:
            left.remove(number)
            try:
                release = self._open_release(model, number)
            except VerificationError as error:
                if self.refuse is None:
                    raise
                self.refuse(model, str(number), str(error))
                continue
            version = f"{number}-{_default_of(release, course)}"
            if version not in routing.candidates or _is_promoted(version, course):
                return release
            held_back = held_back or release
        if held_back is not None:  # there is nothing but candidates
            return held_back
        self.store.resolve(model)  # says what there is
        raise UnknownReleaseError(f"no release of {model} may answer by default")

    def _choose(self, release: Release, course: Course) -> list[ServedVariant]:
        """Choose a release's variants by what was asked and by the device."""
        usable = self._usable(release)
        default = _default_of(release, course)
        if default not in usable:
            default = choose_default(
                {name: release.manifests[name] for name in usable}, Objective(release.index.objective)
            )
        names = usable if "all" in self.wish.variants else self._named_variants(release, default)
        serve = partial(self._serve, release, default if "all" in self.wish.variants else names[0])
        return [serve(name) for name in names]

    def _choose_one(self, model: str, version: str, known: Sequence[int], course: Course) -> ServedVariant:
        """Choose exactly one version."""
        number, variant = split_version(version)
        release = self._open(model, int(number), known)
        release.archive_path(variant)  # says why a variant may not be served
        self._check_fits(release, variant)
        return self._serve(release, _default_of(release, course), variant)

    def _serve(self, release: Release, default: str, name: str) -> ServedVariant:
        setup, host = self.wish.setup, describe_host_class(self.wish.device)
        return ServedVariant(
            manifest=release.manifests[name],
            archive=release.archive_path(name),
            examples=release.folder / EXAMPLES_NAME,
            golden=release.golden(name),
            certificate=find_certificate(release.certificates, name, host=host, setup=setup) if setup else None,
            release_digest=release.digest,
            is_default=name == default,
        )

    def _named_variants(self, release: Release, default: str) -> list[str]:
        usable = self._usable(release)
        meant = {
            "default": [default],
            "reference": [release.reference],
            "front": [name for name in release.front if name in usable],
        }
        names = list(dict.fromkeys(name for word in self.wish.variants for name in meant.get(word, [word])))
        for name in names:
            release.archive_path(name)  # says why a variant may not be served
            self._check_fits(release, name)
        return names

    def _check_fits(self, release: Release, variant: str) -> None:
        misfits = find_misfits(release, self.wish.device)
        if variant in misfits:
            raise NothingToServeError(
                f"{release.model} {release.number}-{variant} does not run here: {misfits[variant]}; here it has "
                f"{', '.join(self._usable(release))}"
            )

    def _usable(self, release: Release) -> list[str]:
        misfits = find_misfits(release, self.wish.device)
        return [name for name in release.variants if name not in misfits]


def plan_catalogue(planner: Planner, routing: Routing) -> Catalogue:
    """Decide what a starting process serves.

    Of a store that is served whole, what cannot be served costs no other model its start, unless nothing is left.

    Raises:
        NothingToServeError, UnknownReleaseError, VerificationError: each says what there is and what to do.
    """
    planner.check_routing(routing)
    plans, problems = {}, []
    for name in planner.wish.names(planner.store):
        try:
            plans[name] = planner.plan_model(name, routing.of(name))
        except UNUSABLE as error:
            if planner.wish.models or planner.refuse is None:
                raise
            planner.refuse(name, "", str(error))
            problems.append(error)
    if problems and not plans:
        raise problems[0]
    if not plans:
        raise NothingToServeError(
            f"there is no release in {planner.store.root}; make one with `train` and `release`, or `make demo`"
        )
    return make_catalogue(plans.items())


def make_catalogue(plans: Iterable[tuple[str, ModelPlan]], spares: Iterable[ServedVariant] = ()) -> Catalogue:
    """Make the catalogue of several models' plans; `spares` are loaded and in no plan."""
    plans, spares = list(plans), list(spares)
    variants = [variant for _, plan in plans for variant in plan.variants]
    standby = {str(variant) for _, plan in plans for variant in plan.candidates} | set(map(str, spares))
    left_out = {(model, version): why for model, plan in plans for version, why in plan.left_out.items()}
    return Catalogue([*variants, *spares], {model: plan.default.version for model, plan in plans}, standby, left_out)


def select_variants(store: Store, models: Sequence[str], variants: Sequence[str], device: str) -> Catalogue:
    """Verify releases and choose their variants, without routing; see `Wish` and `plan_catalogue`."""
    return plan_catalogue(Planner(store, Wish(tuple(models), tuple(variants), device)), Routing())


def _default_of(release: Release, course: Course) -> str:
    return course.promoted.get(release.number, release.index.default)


def _is_promoted(version: str, course: Course) -> bool:
    number, variant = split_version(version)
    return course.promoted.get(int(number)) == variant and number not in course.withdrawn


def _to_number(model: str, release: str) -> int:
    if not release.isdecimal():
        raise UnknownReleaseError(f"{model}:{release} names no release; say which, as in {model}:3")
    return int(release)
