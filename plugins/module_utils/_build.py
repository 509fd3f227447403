# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When an image is built, and how: its inputs are compared with those that its labels name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ._base_images import BaseImages, Fetched, Resolved, base_names, fits
from ._build_files import check_files, containerfile_in, context_rules, output_file, secret_file, text_of
from ._engine import (
    LOCAL,
    PLATFORMS_LABEL,
    BuildFailed,
    BuildRequest,
    Engine,
    LocalImage,
    RegistryAccess,
    local_name,
    platform_name,
    steps,
)
from ._engine_access import access_to_each, pull_image
from ._errors import OptionError
from ._fingerprint import (
    Base,
    Fingerprint,
    Inputs,
    from_labels,
    here_document,
    ignore_file,
    mounts_files,
    read_context,
    reasons,
    recall_files,
    remember_files,
    stage_name,
    take,
)
from ._fingerprint._ignore import Rules
from ._reference import Reference
from ._registry import ImageMissing, Platform, PlatformMissing, Registry, RegistryError, RegistryOptions
from ._scratch import private_directory


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
            "base_images": {name: self.bases[base].digest for base, name in base_names(self.bases).items()},
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
            file = containerfile_in(context, params["containerfile"])
            text = text_of(file)
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

    @property
    def _bases(self) -> BaseImages:
        return BaseImages(self.text, _texts(self.params["build_args"]), self.params["target"], self.platform, self.params["pull"])

    def decide(self, engine: Engine, options: RegistryOptions) -> Decision:
        """Compare what goes in with what went into the image that is there."""
        document = here_document(self.text)
        if document is not None:
            engine.need_heredocs(document)
        with ThreadPoolExecutor() as pool:
            # The engine, the registries and the disk are asked at the same time.
            finding = pool.submit(engine.find, str(self.name))
            resolving = pool.submit(self._bases.resolve, engine, options)
            context = read_context(self.context, self._rules(), self.file)
            image, resolved = finding.result(), resolving.result()
        now = {name: resolved[base].digest for base, name in base_names(resolved).items()}
        fingerprint = take(self._inputs(context.digest, context.top, now))
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
            as_before = take(self._inputs(context.digest, context.top, self._bases.digests_in(before, resolved, engine)))
            why = reasons(before, as_before, files)
            fingerprint = fingerprint if why else as_before
        found, unasked = self._in_registry(options.puller(), fingerprint) if why and not self.params["force"] else (False, "")
        if why and not found:
            check_files(self.params)
        self._bases.need_platforms(resolved, bool(why) and not found, engine, options)
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

    def carry_out(self, decision: Decision, engine: Engine, options: RegistryOptions) -> Iterator[tuple[str, dict[str, Any]]]:
        """Pull the image if the registry has it, else bring its bases here and build it.

        :returns: after each name that means the image now, this name and fields of the module's result, C(image_id) always
        :raises BuildFailed: the name stays where it was
        """
        if not decision.reasons:
            result: dict[str, Any] = {"image_id": decision.image_id}
        elif decision.found:
            result = {"image_id": pull_image(engine, self.name, options, str(self.platform))}
        else:
            result = self._build(decision, engine, options)
        yield str(self.name), result
        for tag in decision.tags(result["image_id"]):
            engine.tag(result["image_id"], tag)
            yield tag, result

    def _build(self, decision: Decision, engine: Engine, options: RegistryOptions) -> dict[str, Any]:
        here = self._bases.fetch(decision.bases, engine, options)
        caches = [Reference.parse(text) for text in (*self.params["cache_from"], *self.params["cache_to"])]
        with private_directory() as directory, output_file(self.params["log_path"]) as on_line, access_to_each(options, caches) as access:
            request = self._request(decision, here, engine, directory, access)
            result = engine.build(request, on_line)
            built = engine.need(result.image_id)
            taken = fits(built, self.platform) and _has(from_labels(built.labels), decision.fingerprint)
            if not (taken and self._dated(built, here.values())):
                # Of a layer that is the last of two builds, Podman 4.3 takes the other's labels from its cache; upon scratch Buildah
                # 1.28 takes the other's platform; and to both a layer of another time is the same.
                result = engine.build(replace(request, no_cache=True), on_line)
                built = engine.need(result.image_id)
        if not fits(built, self.platform):
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
        return context_rules(self.context, self.file, self.params["log_path"])

    def _names(self, engine: Engine, image: LocalImage | None) -> dict[str, str | None]:
        """:returns: each name → id of the image that it means"""
        found = {str(local_name(tag)): engine.find(str(local_name(tag))) for tag in self.params["tags"]}
        return {name: there.id if there else None for name, there in {str(self.name): image, **found}.items()}

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
        pairs = {name: (decision.bases[base].digest, here[base].image.id) for base, name in base_names(here).items()}
        fingerprint = replace(decision.fingerprint, ids={name: pair for name, pair in pairs.items() if pair[0] != pair[1]})
        return {**fingerprint.as_labels(), **({PLATFORMS_LABEL: ",".join(platforms)} if platforms else {})}

    def _request(
        self, decision: Decision, here: Mapping[Base, Fetched], engine: Engine, directory: Path, access: RegistryAccess
    ) -> BuildRequest:
        params = self.params
        stale = not engine.caches_by_mounts and (bool(params["volumes"]) or mounts_files(self.text))
        file, text = self.file, self._bases.containerfile(here)
        # Podman and Buildah take a comma for the end of a file's name.
        if file is None or text != self.text or "," in str(file):
            file = directory / (file.name.replace(",", "_") if file else "Containerfile")
            file.write_bytes(text.encode(errors="surrogateescape"))
        return BuildRequest(
            context=self.context,
            containerfile=file,
            ignore_file=ignore_file(self.context, self.file),
            target=stage_name(self.text, params["target"]) if params["target"] else None,
            platform=str(self.platform) if params["platform"] or params["platforms"] else None,
            network=params["network"],
            no_cache=params["force"] or stale,
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


def _has(there: Fingerprint | None, fingerprint: Fingerprint) -> bool:
    """Whether an image was made of these inputs."""
    return there is not None and there.digest == fingerprint.digest


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {str(name): _text(value) for name, value in values.items()}


def _text(value: Any) -> str:
    """What was written in YAML: C(true), not Python's C(True)."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)
