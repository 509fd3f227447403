# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When an image is built, and how: its inputs are compared with those that its labels name."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ._build_files import check_files, output_file, secret_file
from ._engine import (
    LOCAL,
    PLATFORMS_LABEL,
    BuildFailed,
    BuildRequest,
    Engine,
    EngineUnsupported,
    LocalImage,
    RegistryAccess,
    image_digest,
    local_name,
    named_by_id,
    platform_name,
    steps,
)
from ._engine_access import engine_access
from ._errors import OptionError
from ._fingerprint import (
    Base,
    ContextMissing,
    Fingerprint,
    Inputs,
    bases,
    from_labels,
    here_document,
    ignore_file,
    lower_stages,
    read_context,
    reasons,
    recall_files,
    remember_files,
    stage_name,
    take,
    write_platforms,
)
from ._fingerprint._ignore import Rules
from ._reference import Reference
from ._registry import Image, ImageMissing, Platform, PlatformMissing, Registry, RegistryError, RegistryOptions, need_platform
from ._scratch import private_directory

_DEFAULT_NAMES = ("Containerfile", "Dockerfile")


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
        return bool(same) and _fits(there, platform)


@dataclass(frozen=True)
class Fetched:
    """A base image in local storage.

    :ivar name: by which the build finds it there, and no other platform's
    """

    image: LocalImage
    name: str


@dataclass(frozen=True)
class Decision:
    """What is to be done, and the facts that it rests on.

    :ivar reasons: which inputs changed, in words; empty if there is nothing to do
    :ivar image_id: of the image that is there
    :ivar bases: base image, with its platform → what it is
    :ivar names: each name of the image → id of the image that it means now
    :ivar found: the registry holds an image of the same fingerprint
    :ivar unasked: why the registry could not tell; C("") if it could
    """

    reasons: tuple[str, ...]
    fingerprint: Fingerprint
    before: Fingerprint | None
    image_id: str | None
    bases: Mapping[Base, Resolved] = field(hash=False)
    files: Mapping[str, str] = field(hash=False)
    found: bool = False
    name: str = ""
    names: Mapping[str, str | None] = field(default_factory=dict, hash=False)
    unasked: str = ""

    @property
    def final_id(self) -> str | None:
        """The id of the image that the names are to mean, if it is known before anything is done."""
        return None if self.reasons else self.image_id

    def tags(self, image_id: str | None) -> tuple[str, ...]:
        """:returns: the further names that do not mean this image yet; all of them if it is yet to be made"""
        return tuple(name for name, there in self.names.items() if name != self.name and (image_id is None or there != image_id))

    def changes(self, image_id: str | None) -> bool:
        """Whether a name does not mean this image yet."""
        return image_id is None or any(there != image_id for there in self.names.values())

    def as_result(self, image_id: str | None) -> dict[str, Any]:
        """:param image_id: of the image that the names mean at the end; C(None) if it is yet to be made"""
        before = {name: there for name, there in self.names.items() if there}
        return {
            "reasons": list(self.reasons),
            "fingerprint": self.fingerprint.digest,
            "image_id": image_id,
            "name": self.name,
            "base_images": {name: self.bases[base].digest for base, name in _names(self.bases).items()},
            "reused": self.found,
            "tagged": list(self.tags(image_id)),
            "diff": {
                "before": {**(self.before.parts if self.before else {}), **({"names": before} if before else {})},
                "after": {**self.fingerprint.parts, "names": dict.fromkeys(self.names, image_id or "an image that is yet to be made")},
            },
        }


@dataclass(frozen=True)
class Build:
    """An image to build, as the user describes it."""

    name: Reference
    context: Path
    file: Path | None
    text: str
    platform: Platform
    params: Mapping[str, Any] = field(hash=False)

    @classmethod
    def of(cls, params: Mapping[str, Any], context: Path) -> Build:
        """
        :raises OptionError: there is no Containerfile, or a secret has no one place to come from
        :raises ContextMissing: it cannot be read
        """
        # Not AnsibleModule's own check, which takes "" for set.
        for one, other in (("containerfile", "content"), ("platform", "platforms")):
            if params[one] and params[other]:
                raise OptionError(f"The options '{one}' and '{other}' are both set.", hint=f"Leave '{one}' or '{other}' out.")
        file, text = None, params["content"]
        if text is None:
            names = (params["containerfile"],) if params["containerfile"] else _DEFAULT_NAMES
            file = next((context / name for name in names if os.path.isfile(context / name)), None)
            if file is None:
                raise OptionError(
                    f"There is no file {' or '.join(names)} in '{context}'.", hint="Name it with 'containerfile', or give its 'content'."
                )
            text = _text_of(file)
        for secret in params["secrets"]:
            if sum(secret.get(source) is not None for source in ("file", "env", "value")) != 1:
                raise OptionError(f"The secret '{secret['id']}' needs one of 'file', 'env' and 'value'.")
            if not re.fullmatch(r"[\w.-]+", secret["id"] or "", re.ASCII):
                raise OptionError(f"'{secret['id']}' is no id of a secret.", hint="Use letters, digits, '.', '_' and '-'.")
        ids = [secret["id"] for secret in params["secrets"]]
        if len(set(ids)) < len(ids):
            raise OptionError(f"Two secrets have one id; the ids are {', '.join(ids)}.", hint="Give each secret an id of its own.")
        for option in ("build_args", "labels", "annotations"):
            for name in params[option]:
                if not str(name) or "=" in str(name):
                    raise OptionError(f"'{name}' in '{option}' is no name.", hint="A name is not empty and has no '='.")
        for reference in (*params["cache_from"], *params["cache_to"]):
            Reference.parse(reference)
        for reference in (local_name(text) for text in (params["name"], *params["tags"])):
            if reference.pinned:
                raise OptionError(
                    f"'{reference}' has a digest, which nobody knows before the image is built.",
                    hint="Write the names of the image as registry/repository:tag.",
                )
        platform = Platform.parse(params["platform"]) if params["platform"] else Platform.here()
        return cls(local_name(params["name"]), context, file, text, platform, params)

    @classmethod
    def each(cls, params: Mapping[str, Any], context: Path) -> tuple[Build, ...]:
        """:returns: a build for each of C(platforms), all with names of their own; the builder's own, or the first, has the name
            for all too, so that it can be run and tested
        :raises OptionError: as I(of)
        """
        platforms = tuple(dict.fromkeys(str(Platform.parse(text)) for text in params["platforms"]))
        if not platforms:
            return (cls.of(params, context),)
        main = str(Platform.here()) if str(Platform.here()) in platforms else platforms[0]
        name, tags = local_name(params["name"]), [local_name(tag) for tag in params["tags"]]
        builds = []
        for platform in platforms:
            names = [str(platform_name(tag, platform)) for tag in tags]
            names += [str(name), *map(str, tags)] if platform == main else []
            build = cls.of({**params, "platforms": platforms, "tags": names}, context)
            builds.append(replace(build, name=platform_name(name, platform), platform=Platform.parse(platform)))
        return tuple(builds)

    @property
    def carries_history(self) -> bool:
        """Whether a checkout's own C(.git) is of the context: it is another one after each fetch, though not a file changed."""
        return (self.context / ".git").is_dir() and not self._rules().leaves_out(".git/HEAD")

    def decide(self, engine: Engine, options: RegistryOptions) -> Decision:
        """Compare what goes in with what went into the image that is there."""
        document = here_document(self.text)
        if document is not None:
            engine.need_heredocs(document)
        with ThreadPoolExecutor() as pool:
            # The engine, the registries and the disk are asked at the same time.
            finding = pool.submit(engine.find, str(self.name))
            resolving = pool.submit(self._resolve_all, engine, options)
            context = read_context(self.context, self._rules(), self.file)
            image, resolved = finding.result(), resolving.result()
        names = _names(resolved)
        fingerprint = take(self._inputs(context.digest, context.top, {name: resolved[base].digest for base, name in names.items()}))
        before = from_labels(image.labels, [step.text for step in image.history]) if image else None
        why: tuple[str, ...]
        if image is None:
            why = ("there is no such image yet",)
        elif before is None:
            why = ("the image that is there was not built by this module",)
        elif self.params["force"]:
            why = ("a build was forced",)
        else:
            files = (recall_files(before.digest), context.files()) if before.digest != fingerprint.digest else None
            known = {name: self._digest_in(before, name, base, resolved[base], engine) for base, name in names.items()}
            as_before = take(self._inputs(context.digest, context.top, known))
            why = reasons(before, as_before, files)
            fingerprint = fingerprint if why else as_before
        found, unasked = self._in_registry(options.puller(), fingerprint) if why and not self.params["force"] else (False, "")
        if why and not found:
            check_files(self.params)
        self._need_platforms(resolved, bool(why) and not found, engine, options)
        return Decision(
            why,
            fingerprint,
            before,
            image.id if image else None,
            resolved,
            context.files() if why else {},
            found,
            str(self.name),
            self._names(engine, image),
            unasked,
        )

    def carry_out(self, decision: Decision, engine: Engine, options: RegistryOptions) -> dict[str, Any]:
        """Pull the image if the registry has it, else bring its bases here and build it.

        :returns: fields of the module's result, C(image_id) always
        :raises BuildFailed: the name stays where it was
        """
        if not decision.reasons:
            result: dict[str, Any] = {"image_id": decision.image_id}
        elif decision.found:
            result = {"image_id": _pull(engine, self.name, options, str(self.platform))}
        else:
            result = self._build(decision, engine, options)
        for tag in decision.tags(result["image_id"]):
            engine.tag(result["image_id"], tag)
        return result

    def _build(self, decision: Decision, engine: Engine, options: RegistryOptions) -> dict[str, Any]:
        here = self._fetch_all(decision.bases, engine, options)
        with private_directory() as directory, output_file(self.params["log_path"]) as on_line, self._cache_access(options) as access:
            request = self._request(decision, here, directory, access)
            result = engine.build(request, on_line)
            built = engine.need(result.image_id)
            taken = _fits(built, self.platform) and _has(from_labels(built.labels), decision.fingerprint)
            if not (taken and self._dated(built, here.values())):
                # Of a layer that is the last of two builds, Podman 4.3 takes the other's labels from its cache; upon scratch Buildah
                # 1.28 takes the other's platform; and to both a layer of another time is the same.
                result = engine.build(replace(request, no_cache=True), on_line)
                built = engine.need(result.image_id)
        if not _fits(built, self.platform):
            raise BuildFailed(
                f"An image for {self.platform} was asked for, and {engine.program} built one for {built.platform}.",
                hint="See that each FROM and each base image is for the platform that is built for.",
            )
        engine.tag(result.image_id, str(self.name))
        remember_files(decision.fingerprint.digest, decision.files)
        return {"image_id": result.image_id, "seconds": round(result.seconds, 1), "log": list(result.log)}

    def _dated(self, built: LocalImage, bases: Iterable[Fetched]) -> bool:
        """Whether everything that the build made has the date that was asked for."""
        if self.params["timestamp"] is None:
            return True
        date = datetime.fromtimestamp(self.params["timestamp"], timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        below = [len(base.image.history) for base in bases if built.history[: len(base.image.history)] == base.image.history]
        return all(step.date == date for step in built.history[max(below, default=0) :])

    def _rules(self) -> Rules:
        """What is not of the context.

        :raises OptionError: the log would be of it, and each build a reason for the next
        """
        file = ignore_file(self.context, self.file)
        rules = Rules(_text_of(file) if file else "")
        log = os.path.relpath(os.path.realpath(self.params["log_path"] or os.devnull), os.path.realpath(self.context))
        if not log.startswith("../") and not rules.leaves_out(log):
            raise OptionError(
                f"The log '{self.params['log_path']}' would be a part of the context '{self.context}'.",
                hint="Write it elsewhere, or name it in '.containerignore'.",
            )
        return rules

    def _names(self, engine: Engine, image: LocalImage | None) -> dict[str, str | None]:
        """:returns: each name → id of the image that it means"""
        found = {str(local_name(tag)): engine.find(str(local_name(tag))) for tag in self.params["tags"]}
        return {name: there.id if there else None for name, there in {str(self.name): image, **found}.items()}

    def _bases(self) -> tuple[Base, ...]:
        """:returns: each with the platform that it is needed for"""
        found = bases(self.text, _texts(self.params["build_args"]), self.params["target"], *self._platforms)
        return tuple(dict.fromkeys(self._for_platform(base) for base in found))

    def _for_platform(self, base: Base) -> Base:
        return replace(base, platform=str(Platform.parse(base.platform) if base.platform else self.platform))

    @property
    def _platforms(self) -> tuple[str, str]:
        """The one that is built for, and the builder's own."""
        return str(self.platform), str(Platform.here())

    def _resolve_all(self, engine: Engine, options: RegistryOptions) -> dict[Base, Resolved]:
        found = self._bases()
        registry = options.puller() if found else None
        return {base: self._resolve(base, engine, registry) for base in found if registry}

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
            if image and not _fits(image, platform):
                raise _unfit(base, image, platform)
            if image:
                return Resolved(local, image.id)
        names = registry.long_names(base.text) if short else (local,)
        if self.params["pull"] != "newer":
            for reference in names:
                image = engine.find(str(reference))
                if image and _fits(image, platform):
                    return Resolved(reference, image.id)
            if self.params["pull"] == "never":
                raise _unfit(base, engine.need(str(local)), platform)
        *others, last = names
        for reference in others:
            try:
                return self._ask(reference, platform, registry)
            except ImageMissing:
                continue
        return self._ask(last, platform, registry)

    def _ask(self, reference: Reference, platform: Platform, registry: Registry) -> Resolved:
        if self.params["pull"] == "missing":
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

    def _digest_in(self, before: Fingerprint, name: str, base: Base, resolved: Resolved, engine: Engine) -> str:
        """:returns: the digest by which the fingerprint has the base, if it has it: it is the same image whether a registry was asked
        for it or, with another value of I(pull), local storage
        """
        digest, image_id = before.ids.get(name, ("", ""))
        if resolved.digest == image_id:
            return digest
        if resolved.reference.registry != LOCAL and not before.has_base(name, resolved.digest):
            here = _here(base, resolved, engine)
            if here and before.has_base(name, here.id):
                return here.id
        return resolved.digest

    def _need_platforms(self, found: Mapping[Base, Resolved], builds: bool, engine: Engine, options: RegistryOptions) -> None:
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

    def _fetch_all(self, found: Mapping[Base, Resolved], engine: Engine, options: RegistryOptions) -> dict[Base, Fetched]:
        """Have the base images in local storage as the registry has them now: the build itself pulls nothing."""
        mixed = any(base.platform != str(self.platform) for base in found)
        fetched = {}
        for base, resolved in found.items():
            exact = self._exact(base, resolved, engine, options) if mixed else None
            image = self._fetch(base, resolved, exact, engine, options)
            name = str(exact) if exact else engine.id_argument(image.id) if mixed and engine.takes_ids else base.text
            fetched[base] = Fetched(image, name)
        return fetched

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
        return here or engine.need(_pull(engine, place, options, str(base.platform)))

    def _in_registry(self, registry: Registry, fingerprint: Fingerprint) -> tuple[bool, str]:
        """:returns: whether the image is there to be reused, and why that is not known: many registries answer 401 or 403 for a
        repository that is to be made yet, and one that is down is no reason not to build
        """
        if not self.params["reuse"] or self.name.registry == LOCAL:
            return False, ""
        try:
            image, _index = registry.image(self.name, self.platform)
            configuration = registry.config(self.name, image)
        except (ImageMissing, PlatformMissing):
            return False, ""
        except RegistryError as error:
            return False, error.message
        labels = (configuration.get("config") or {}).get("Labels") or {}
        return _has(from_labels(labels, [step.text for step in steps(configuration.get("history"))]), fingerprint), ""

    def _inputs(self, context: str, top: Mapping[str, str], resolved: Mapping[str, str]) -> Inputs:
        params = self.params
        shaping = {
            "target": params["target"],
            "platform": str(self.platform),
            "network": params["network"],
            "platforms": ",".join(params["platforms"]),
            "volumes": " ".join(params["volumes"]),
            "timestamp": None if params["timestamp"] is None else str(params["timestamp"]),
        }
        return Inputs(
            containerfile=self.text,
            context=context,
            top=top,
            bases=resolved,
            args=_texts(params["build_args"]),
            labels=_texts(params["labels"]),
            annotations=_texts(params["annotations"]),
            secrets=tuple(secret["id"] for secret in params["secrets"]),
            options={name: value for name, value in shaping.items() if value},
        )

    def _builder_arguments(self) -> dict[str, str]:
        """What Buildah 1.28 does not set by itself, where the Containerfile uses it."""
        here = Platform.here()
        given = {"BUILDPLATFORM": str(here), "BUILDOS": here.os, "BUILDARCH": here.architecture}
        return {name: value for name, value in given.items() if name in self.text}

    def _own_labels(self, decision: Decision, here: Mapping[Base, Fetched]) -> dict[str, str]:
        platforms = self.params["platforms"]
        pairs = {name: (decision.bases[base].digest, here[base].image.id) for base, name in _names(here).items()}
        fingerprint = replace(decision.fingerprint, ids={name: pair for name, pair in pairs.items() if pair[0] != pair[1]})
        return {**fingerprint.as_labels(), **({PLATFORMS_LABEL: ",".join(platforms)} if platforms else {})}

    def _with_platforms(self, text: str, here: Mapping[Base, Fetched]) -> str:
        args = _texts(self.params["build_args"])
        written = bases(text, args, self.params["target"], *self._platforms)
        names = {base: here[self._for_platform(base)].name for base in written}
        return write_platforms(text, args, *self._platforms, names)

    @contextmanager
    def _cache_access(self, options: RegistryOptions) -> Iterator[RegistryAccess]:
        caches = [Reference.parse(text) for text in (*self.params["cache_from"], *self.params["cache_to"])]
        if not caches:
            yield RegistryAccess()
            return
        # Those of the first one's registry are found there.
        others = {cache.registry: options.credentials(cache) for cache in reversed(caches) if cache.registry != caches[0].registry}
        with engine_access(options, caches[0]) as access:
            found = {registry: credentials for registry, credentials in others.items() if credentials}
            yield replace(access, credentials={**found, **access.credentials})

    def _request(self, decision: Decision, here: Mapping[Base, Fetched], directory: Path, access: RegistryAccess) -> BuildRequest:
        params = self.params
        file, args = self.file, _texts(params["build_args"])
        text = self._with_platforms(lower_stages(self.text, args, *self._platforms), here)
        # Podman and Buildah take a comma for the end of a file's name.
        if file is None or text != self.text or "," in str(file):
            file = directory / (file.name if file else "Containerfile")
            file.write_text(text, errors="surrogateescape")
        return BuildRequest(
            context=self.context,
            containerfile=file,
            ignore_file=ignore_file(self.context, self.file),
            target=stage_name(self.text, params["target"]) if params["target"] else None,
            platform=str(self.platform) if params["platform"] or params["platforms"] else None,
            network=params["network"],
            no_cache=params["force"],
            build_args={**self._builder_arguments(), **_texts(params["build_args"])},
            labels={**_texts(params["labels"]), **self._own_labels(decision, here)},
            annotations=_texts(params["annotations"]),
            secrets={secret["id"]: secret_file(secret, directory) for secret in params["secrets"]},
            volumes=tuple(params["volumes"]),
            ssh=tuple(params["ssh"]),
            cache_from=tuple(params["cache_from"]),
            cache_to=tuple(params["cache_to"]),
            timestamp=params["timestamp"],
            access=access,
        )


def _text_of(file: Path) -> str:
    """:raises ContextMissing: it cannot be read"""
    try:
        # Engines take bytes; what is not UTF-8 is no word that anything depends on.
        return file.read_text(errors="surrogateescape")
    except OSError as error:
        raise ContextMissing(
            f"'{file}' cannot be read where the task runs: {error.strerror}.", hint="Correct its permissions.", path=str(file)
        ) from None


def _fits(image: LocalImage, platform: Platform) -> bool:
    # Not every engine keeps the variant, and an image may say any word.
    system, architecture, *_variant = [*image.platform.split("/"), ""]
    there = Platform.of(system, architecture)
    return (there.os, there.architecture) == (platform.os, platform.architecture)


def _here(base: Base, resolved: Resolved, engine: Engine) -> LocalImage | None:
    """:returns: the base, where local storage has it by its name"""
    there = engine.find(str(resolved.reference))
    return there if there and resolved.is_image(there, Platform.parse(str(base.platform))) else None


def _names(found: Collection[Base]) -> dict[Base, str]:
    """:returns: base → as it is written; with its platform behind it where one is needed for several"""
    texts = [base.text for base in found]
    return {base: base.text if texts.count(base.text) == 1 else f"{base.text} ({base.platform})" for base in found}


def _has(there: Fingerprint | None, fingerprint: Fingerprint) -> bool:
    """Whether an image was made of these inputs."""
    return there is not None and there.digest == fingerprint.digest


def _by_id(base: Base, engine: Engine, platform: Platform) -> LocalImage:
    if not engine.takes_ids:
        raise EngineUnsupported(
            f"The base image '{base.text}' is an id, which {engine.program} does not take in a build.",
            hint="Give the image a name, and write that.",
        )
    image = engine.need(image_digest(base.text))
    if not _fits(image, platform):
        raise _unfit(base, image, platform)
    return image


def _unfit(base: Base, image: LocalImage, platform: Platform) -> PlatformMissing:
    return PlatformMissing(
        f"The base image '{base.text}' in local storage is for {image.platform}, not for {platform}.",
        hint="Push it for all platforms, and build upon the image in the registry.",
    )


def _pull(engine: Engine, reference: Reference, options: RegistryOptions, platform: str) -> str:
    with engine_access(options, reference) as access:
        return engine.pull(reference, access, platform)


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {str(name): _text(value) for name, value in values.items()}


def _text(value: Any) -> str:
    """What was written in YAML: C(true), not Python's C(True)."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)
