# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fake: as much of the REST interface of AWX 24.6 as the modules of awx.awx speak, with a state that they change.

A real AWX needs Kubernetes and images that cannot be had offline. The fake refuses what AWX refuses and a role can get wrong: objects
that are not there, playbooks that the project has not, answers that a template does not ask for, surveys and schedules that are
none. It never tells a secret. It runs no job.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

TOKEN, HIDDEN = "token-of-the-test", "$encrypted$"
# What an object must have when it is made, and which of its fields are other objects.
REQUIRED = {
    "organizations": ["name"],
    "credential_types": ["name", "kind"],
    "credentials": ["name", "credential_type", "organization"],
    "execution_environments": ["name", "image"],
    "notification_templates": ["name", "organization", "notification_type", "notification_configuration"],
    "projects": ["name", "organization"],
    "inventories": ["name", "organization"],
    "inventory_sources": ["name", "inventory", "source"],
    "job_templates": ["name", "project", "playbook", "inventory"],
    "workflow_job_templates": ["name"],
    "workflow_job_template_nodes": ["identifier", "workflow_job_template"],
    "workflow_approval_templates": ["name"],
    "schedules": ["name", "rrule", "unified_job_template"],
}
REFERENCES = {
    "organization": "organizations",
    "credential_type": "credential_types",
    "credential": "credentials",
    "project": "projects",
    "source_project": "projects",
    "inventory": "inventories",
    "default_environment": "execution_environments",
    "execution_environment": "execution_environments",
    "workflow_job_template": "workflow_job_templates",
}
UNIFIED = ("job_templates", "workflow_job_templates", "projects", "inventory_sources", "workflow_approval_templates")
NOTIFICATION_SECRETS = {"email": "password", "slack": "token", "webhook": "password", "irc": "password"}
BUILT_IN = {
    "Machine": ["password", "ssh_key_data", "ssh_key_unlock", "become_password"],
    "Source Control": ["password", "ssh_key_data", "ssh_key_unlock"],
    "Container Registry": ["password"],
}
# A field of a node → the permission that its template must give.
PROMPTS = {
    "skip_tags": "ask_skip_tags_on_launch",
    "job_tags": "ask_tags_on_launch",
    "limit": "ask_limit_on_launch",
    "inventory": "ask_inventory_on_launch",
    "job_slice_count": "ask_job_slice_count_on_launch",
}


class Refused(Exception):
    """What AWX answers with 400."""


class FakeAWX:
    """:param playbooks: the playbooks of every project, paths in its repository"""

    def __init__(self, playbooks: Sequence[str]) -> None:
        self.playbooks = set(playbooks)
        self.objects: dict[str, dict[int, dict[str, Any]]] = {kind: {} for kind in REQUIRED}
        self.links: dict[tuple[str, int, str], list[int]] = {}
        self.surveys: dict[tuple[str, int], dict[str, Any]] = {}
        self.written: list[str] = []
        self.last = 0
        for name, secrets in BUILT_IN.items():
            fields = [{"id": field, "secret": True} for field in secrets]
            self.store("credential_types", {"name": name, "kind": "ssh", "managed": True, "inputs": {"fields": fields}})
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                fake.answer(self, None)

            def do_POST(self) -> None:
                fake.answer(self, json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

            def do_PATCH(self) -> None:
                self.do_POST()

            def log_message(self, format: str, *arguments: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def named(self, kind: str) -> dict[str, dict[str, Any]]:
        return {str(item.get("name") or item["identifier"]): item for item in self.objects[kind].values()}

    def linked(self, kind: str, name: str, link: str) -> list[int]:
        return self.links.get((kind, self.named(kind)[name]["id"], link), [])

    def answer(self, request: BaseHTTPRequestHandler, data: dict[str, Any] | None) -> None:
        address = urlsplit(request.path)
        words = address.path.strip("/").split("/")[2:]
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            status, document = 401, {"detail": "Authentication credentials were not provided."}
        else:
            try:
                status, document = self.route(request.command, words, dict(parse_qsl(address.query)), data)
            except Refused as error:
                status, document = 400, {"__all__": [str(error)]}
            except KeyError as error:
                status, document = 404, {"detail": f"Not found: {error}"}
        if data is not None:
            self.written.append(f"{request.command} {address.path} {status}")
        body = json.dumps(document).encode() if status != 204 else b""
        request.send_response(status)
        for name, value in {"X-API-Product-Name": "AWX", "X-API-Product-Version": "24.6.1", "Content-Length": str(len(body))}.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)

    def route(self, method: str, words: list[str], query: dict[str, str], data: dict[str, Any] | None) -> tuple[int, Any]:
        kind = words[0]
        if len(words) == 1:
            if data is None:
                return 200, self.listed(self.found(kind, query))
            return 201, self.shown(kind, self.store(kind, data))
        if kind == "project_updates":
            return 200, {"status": "successful"}
        number = int(words[1])
        item = self.objects[kind][number]
        if len(words) == 2:
            if data is not None:
                self.store(kind, data, item)
            return 200, self.shown(kind, item)
        if words[2] == "survey_spec":
            if data is not None:
                self.check_survey(data)
                self.surveys[kind, number] = data
            return 200, self.surveys.get((kind, number), {})
        if words[2] == "create_approval_template":
            approval = self.store("workflow_approval_templates", data or {})
            item["unified_job_template"] = approval["id"]
            return 201, self.shown("workflow_approval_templates", approval)
        return self.link((kind, number, words[2]), data)

    def link(self, key: tuple[str, int, str], data: dict[str, Any] | None) -> tuple[int, Any]:
        linked = self.links.setdefault(key, [])
        if data is None:
            return 200, self.listed([{"id": number} for number in linked])
        if data.get("disassociate"):
            linked.remove(data["id"])
        else:
            if not any(data["id"] in objects for objects in self.objects.values()):
                raise Refused(f"There is no object {data['id']}.")
            linked.append(data["id"])
        return 204, None

    def found(self, kind: str, query: dict[str, str]) -> Iterator[dict[str, Any]]:
        for part in UNIFIED if kind == "unified_job_templates" else (kind,):
            for item in self.objects[part].values():
                if all(str(item.get(field)) == value for field, value in query.items()):
                    yield self.shown(part, item)

    def listed(self, items: Any) -> dict[str, Any]:
        results = list(items)
        return {"count": len(results), "next": None, "previous": None, "results": results}

    def store(self, kind: str, data: dict[str, Any], item: dict[str, Any] | None = None) -> dict[str, Any]:
        """Make an object, or change it."""
        after = {**(item or {}), **data}
        missing = [field for field in REQUIRED[kind] if not after.get(field)]
        if missing:
            raise Refused(f"{kind}: {', '.join(missing)} may not be empty.")
        for field, target in REFERENCES.items():
            if after.get(field) is not None and after[field] not in self.objects[target]:
                raise Refused(f"{kind}: {field} {after[field]!r} does not exist.")
        getattr(self, f"check_{kind}", lambda _after: None)(after)
        for field in ("inputs", "notification_configuration"):
            for name, value in (data.get(field) or {}).items():
                if value == HIDDEN:
                    after[field][name] = (item or {})[field][name]
        if kind == "job_templates":
            after["organization"] = self.objects["projects"][after["project"]]["organization"]
        if item is None:
            self.last += 1
            after.update(id=self.last, type=kind[:-1] if kind != "inventories" else "inventory", url=f"/api/v2/{kind}/{self.last}/")
            self.objects[kind][self.last] = item = {}
        item.update(after)
        return item

    def shown(self, kind: str, item: dict[str, Any]) -> dict[str, Any]:
        related = {"survey_spec": f"{item['url']}survey_spec/"}
        if item.get("unified_job_template") in self.objects["workflow_approval_templates"]:
            related["unified_job_template"] = f"/api/v2/workflow_approval_templates/{item['unified_job_template']}/"
        shown = {**item, "related": related, "summary_fields": {}, "scm_revision": ""}
        if kind == "projects":
            shown["summary_fields"] = {"current_update": {"id": 1}}
        if kind == "credentials":
            fields = self.objects["credential_types"][item["credential_type"]]["inputs"]["fields"]
            shown["inputs"] = hidden(item.get("inputs") or {}, {field["id"] for field in fields if field.get("secret")})
        if kind == "notification_templates":
            secrets = {NOTIFICATION_SECRETS.get(item["notification_type"], "")}
            shown["notification_configuration"] = hidden(item["notification_configuration"], secrets)
        return shown

    def check_credential_types(self, after: dict[str, Any]) -> None:
        known = {field["id"] for field in after["inputs"]["fields"]}
        for name, template in (after.get("injectors") or {}).get("env", {}).items():
            unknown = set(re.findall(r"{{ *(\w+)", template)) - known
            if unknown or name.startswith("ANSIBLE_") or "{{" not in template:
                raise Refused(f"The injector {name} is {template!r}; there are {known}.")

    def check_credentials(self, after: dict[str, Any]) -> None:
        schema = self.objects["credential_types"][after["credential_type"]]
        if not schema.get("managed"):
            unknown = set(after.get("inputs") or {}) - {field["id"] for field in schema["inputs"]["fields"]}
            if unknown:
                raise Refused(f"The type {schema['name']} has no input {unknown}.")

    def check_job_templates(self, after: dict[str, Any]) -> None:
        if after["playbook"] not in self.playbooks:
            raise Refused(f"Playbook {after['playbook']} not found for project.")

    def check_workflow_job_template_nodes(self, after: dict[str, Any]) -> None:
        template = self.objects["job_templates"].get(after.get("unified_job_template", 0))
        if template:
            for field, permission in PROMPTS.items():
                if after.get(field) and not template.get(permission):
                    raise Refused(f"Field {field} is not configured to prompt on launch.")
            self.check_answers(template, after.get("extra_data") or {})

    def check_schedules(self, after: dict[str, Any]) -> None:
        if not re.match(r"DTSTART(;TZID=[\w/]+)?:\d{8}T\d{6}Z? RRULE:FREQ=\w+;INTERVAL=\d+", after["rrule"]):
            raise Refused(f"Not a rule: {after['rrule']}")
        template = self.objects["job_templates"].get(after["unified_job_template"])
        self.check_answers(template or {"id": 0}, after.get("extra_data") or {})

    def check_answers(self, template: dict[str, Any], answers: dict[str, Any]) -> None:
        survey = self.surveys.get(("job_templates", template["id"]), {"spec": []}) if template.get("survey_enabled") else {"spec": []}
        unknown = set(answers) - {question["variable"] for question in survey["spec"]}
        if unknown and not template.get("ask_variables_on_launch"):
            raise Refused(f"Variables {unknown} are not allowed on launch.")

    def check_survey(self, survey: dict[str, Any]) -> None:
        variables = [question["variable"] for question in survey["spec"]]
        if len(set(variables)) < len(variables):
            raise Refused(f"A variable is asked for twice: {variables}.")
        for question in survey["spec"]:
            missing = {"question_name", "variable", "type", "required"} - set(question)
            if missing or " " in question["variable"]:
                raise Refused(f"A question lacks {missing}: {question}.")
            if question["type"] == "multiplechoice" and question.get("default") and question["default"] not in question["choices"]:
                raise Refused(f"The default of {question['variable']} is none of its choices.")

    def variables_of(self, name: str) -> dict[str, Any]:
        """What a job of this template gets if nobody answers anything (_update_unified_job_kwargs in AWX's models/mixins.py)."""
        template = self.named("job_templates")[name]
        questions = self.surveys[("job_templates", template["id"])]["spec"]
        defaults = {question["variable"]: question["default"] for question in questions if question.get("default") is not None}
        return {**json.loads(template["extra_vars"] or "{}"), **defaults}


def hidden(values: dict[str, Any], secrets: set[str]) -> dict[str, Any]:
    return {name: HIDDEN if name in secrets and value else value for name, value in values.items()}
