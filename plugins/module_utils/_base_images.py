# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The base images of a build: what each is now, and having them in local storage."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from ._engine import LOCAL, Engine, EngineUnsupported, LocalImage, image_digest, local_name, named_by_id
from ._engine_access import pull_image
from ._fingerprint import Base, Fingerprint, bases, lower_stages, write_platforms
from ._reference import Reference
from ._registry import Image, ImageMissing, Platform, PlatformMissing, Registry, RegistryOptions, need_platform


@dataclass(frozen=True)
class Resolved:
    """A base image as it is now.

    :ivar digest: in its registry; the image id if it is only in local storage, or that is where it is looked for first
    :ivar manifest: of this platform's image in its registry, where that was asked
    :ivar index: that it was found in
    :ivar single: the image, where it was found in no index, which would tell its platform
    """

    reference: Reference
    digest: str
    manifest: str = ""
    index: str = ""
    single: Image | None = None

    @property
    def unasked(self) -> bool:
        """Whether its name has a digest, perhaps an index's, so that no registry was asked for it."""
        return self.digest == self.reference.digest

    def is_image(self, there: LocalImage, platform: Platform) -> bool:
        """Whether the image in local storage that has the base's name is the base."""
        # Of an index some engines know its own digest, whatever platform they have of it.
        same = self.reference.digest or {self.digest, self.manifest, self.index} & {there.digest, there.id} - {""}
        return bool(same) and fits(there, platform)


@dataclass(frozen=True)
class Fetched:
    """A base image in local storage.

    :ivar name: by which the build finds it there, and no other platform's
    """

    image: LocalImage
    name: str


@dataclass(frozen=True)
class BaseImages:
    """The images that a build starts from or copies from.

    :ivar text: the Containerfile's
    :ivar args: build arguments
    :ivar target: the stage that is built; C(None) for the last
    :ivar platform: that is built for
    :ivar pull: as the module's option: C(newer), C(missing) or C(never)
    """

    text: str
    args: Mapping[str, str] = field(hash=False)
    target: str | None
    platform: Platform
    pull: str

    def resolve(self, engine: Engine, options: RegistryOptions) -> dict[Base, Resolved]:
        """:returns: each base, with the platform that it is needed for → what it is now
        :raises ImageMissing: nowhere where a name may lead there is such an image
        :raises PlatformMissing: what is there is for another platform
        """
        written = bases(self.text, self.args, self.target, *self._platforms)
        found = tuple(dict.fromkeys(self._for_platform(base) for base in written))
        registry = options.puller() if found else None
        return {base: self._resolve(base, engine, registry) for base in found if registry}

    def digests_in(self, before: Fingerprint, found: Mapping[Base, Resolved], engine: Engine) -> dict[str, str]:
        """:returns: name of each base → the digest by which the fingerprint has the base, if it has it: it is the same image whether a
        registry was asked for it or, with another value of I(pull), local storage
        """
        return {name: _digest_in(before, name, base, found[base], engine) for base, name in base_names(found).items()}

    def need_platforms(self, found: Mapping[Base, Resolved], builds: bool, engine: Engine, options: RegistryOptions) -> None:
        """For its own platform the builder is asked only when it builds: an unchanged image costs one request a base.

        :raises PlatformMissing: a base is for another platform, which Docker 20.10 does not mind
        """
        here = str(Platform.here())
        asked = [(base, one) for base, one in found.items() if builds or (one.single and base.platform != here)]
        if not asked:
            return
        registry = options.puller()
        for base, resolved in asked:
            platform, image = Platform.parse(str(base.platform)), resolved.single
            if resolved.unasked and not _here(base, resolved, engine):
                image, index = registry.image(resolved.reference, platform)
                image = None if index else image
            try:
                if image:
                    need_platform(image.digest, registry.config(resolved.reference, image), platform)
            except PlatformMissing as error:
                raise PlatformMissing(
                    f"The base image '{base.text}' cannot be used: {error.message}",
                    hint="Build upon an image that is for this platform, too.",
                    **error.details,
                ) from None

    def fetch(self, found: Mapping[Base, Resolved], engine: Engine, options: RegistryOptions) -> dict[Base, Fetched]:
        """Have the base images in local storage as the registry has them now: the build itself pulls nothing."""
        mixed = any(base.platform != str(self.platform) for base in found)
        fetched = {}
        for base, resolved in found.items():
            exact = self._exact(base, resolved, engine, options) if mixed else None
            image = self._fetch(base, resolved, exact, engine, options)
            name = str(exact) if exact else engine.id_argument(image.id) if mixed and engine.takes_ids else base.text
            fetched[base] = Fetched(image, name)
        return fetched

    def containerfile(self, here: Mapping[Base, Fetched]) -> str:
        """:returns: the text for the engine: stages as it finds them, and each base by the name by which it is in local storage"""
        text = lower_stages(self.text, self.args, *self._platforms)
        written = bases(text, self.args, self.target, *self._platforms)
        names = {base: here[self._for_platform(base)].name for base in written}
        return write_platforms(text, self.args, *self._platforms, names)

    def _for_platform(self, base: Base) -> Base:
        return replace(base, platform=str(Platform.parse(base.platform) if base.platform else self.platform))

    @property
    def _platforms(self) -> tuple[str, str]:
        """The one that is built for, and the builder's own."""
        return str(self.platform), str(Platform.here())

    def _resolve(self, base: Base, engine: Engine, registry: Registry) -> Resolved:
        """
        :raises ImageMissing: nowhere where the name may lead there is such an image
        """
        platform = Platform.parse(str(base.platform))
        if named_by_id(base.text):
            return Resolved(base.reference, _by_id(base, engine, platform).id)
        short = base.short and engine.short_is_local
        local = base.reference if base.short and not short else local_name(base.text)
        if local.registry == LOCAL:
            image = engine.find(str(local)) if short else engine.need(str(local))
            if image and not fits(image, platform):
                raise _unfit(base, image, platform)
            if image:
                return Resolved(local, image.id)
        names = registry.long_names(base.text) if short else (local,)
        if self.pull != "newer":
            for reference in names:
                image = engine.find(str(reference))
                if image and fits(image, platform):
                    return Resolved(reference, image.id)
            if self.pull == "never":
                raise _unfit(base, engine.need(str(local)), platform)
        *others, last = names
        for reference in others:
            try:
                return self._ask(reference, platform, registry)
            except ImageMissing:
                continue
        return self._ask(last, platform, registry)

    def _ask(self, reference: Reference, platform: Platform, registry: Registry) -> Resolved:
        if self.pull == "missing":
            # The next time it is found in local storage. There its id is the same with every engine, and its digest is not: of an
            # index Docker and Podman 4.3 know the index's own, Buildah 1.28 that of the platform's image.
            image, index = registry.image(reference, platform)
            return Resolved(reference, image.config.digest, image.digest, index.digest if index else "", None if index else image)
        if reference.digest:
            return Resolved(reference, reference.digest)
        manifest = registry.manifest(reference)
        if isinstance(manifest, Image):
            return Resolved(reference, manifest.digest, manifest.digest, single=manifest)
        digest = manifest.choose(platform).digest
        return Resolved(reference, digest, digest, manifest.digest)

    def _exact(self, base: Base, resolved: Resolved, engine: Engine, options: RegistryOptions) -> Reference | None:
        """:returns: the image of the base's platform by its digest; C(None) where no registry is asked for it"""
        manifest = resolved.manifest
        if resolved.unasked and not _here(base, resolved, engine):
            manifest = options.puller().platform_digest(resolved.reference, Platform.parse(str(base.platform)))
        return resolved.reference.with_digest(manifest) if manifest else None

    def _fetch(self, base: Base, resolved: Resolved, exact: Reference | None, engine: Engine, options: RegistryOptions) -> LocalImage:
        place = exact or resolved.reference
        if place.registry == LOCAL:
            return engine.need(image_digest(base.text) if named_by_id(base.text) else str(place))
        here = engine.find(str(exact)) if exact else _here(base, resolved, engine)
        return here or engine.need(pull_image(engine, place, options, str(base.platform)))


def base_names(found: Collection[Base]) -> dict[Base, str]:
    """:returns: base → as it is written; with its platform behind it where one is needed for several"""
    texts = [base.text for base in found]
    return {base: base.text if texts.count(base.text) == 1 else f"{base.text} ({base.platform})" for base in found}


def fits(image: LocalImage, platform: Platform) -> bool:
    """Whether an image in local storage is for the platform."""
    # Not every engine keeps the variant, and an image may say any word.
    system, architecture, *_variant = [*image.platform.split("/"), ""]
    there = Platform.of(system, architecture)
    return (there.os, there.architecture) == (platform.os, platform.architecture)


def _digest_in(before: Fingerprint, name: str, base: Base, resolved: Resolved, engine: Engine) -> str:
    digest, image_id = before.ids.get(name, ("", ""))
    if resolved.digest == image_id:
        return digest
    if resolved.reference.registry != LOCAL and not before.has_base(name, resolved.digest):
        here = _here(base, resolved, engine)
        if here and here.id == image_id:
            return digest
        if here and before.has_base(name, here.id):
            return here.id
    return resolved.digest


def _here(base: Base, resolved: Resolved, engine: Engine) -> LocalImage | None:
    """:returns: the base, where local storage has it by its name"""
    there = engine.find(str(resolved.reference))
    return there if there and resolved.is_image(there, Platform.parse(str(base.platform))) else None


def _by_id(base: Base, engine: Engine, platform: Platform) -> LocalImage:
    if not engine.takes_ids:
        raise EngineUnsupported(
            f"The base image '{base.text}' is an id, which {engine.program} does not take in a build.",
            hint="Give the image a name, and write that.",
        )
    image = engine.need(image_digest(base.text))
    if not fits(image, platform):
        raise _unfit(base, image, platform)
    return image


def _unfit(base: Base, image: LocalImage, platform: Platform) -> PlatformMissing:
    return PlatformMissing(
        f"The base image '{base.text}' in local storage is for {image.platform}, not for {platform}.",
        hint="Push it for all platforms, and build upon the image in the registry.",
    )
