"""Cuts GitHub's own description of its API down to the calls that Rehearsal makes: `description.json`, by which the server
of the tests judges each request and from which it answers.

    python3 tests/github/cut.py DESCRIPTION > tests/github/description.json

DESCRIPTION is the file `api.github.com.json` of the packages `@octokit/openapi` (GitHub's rest-api-description, MIT, Copyright
GitHub Inc.), whole or any part that holds these calls. Words for people, links and vendors' extensions go; each schema
becomes JSON Schema (2020-12), in which a body may have no field that GitHub does not name.
"""

import json
import sys

CALLS = [
    ("PATCH", "/repos/{owner}/{repo}/check-runs/{check_run_id}"),
    ("GET", "/repos/{owner}/{repo}/check-runs/{check_run_id}/annotations"),
    ("POST", "/repos/{owner}/{repo}/check-runs"),
    ("GET", "/repos/{owner}/{repo}/commits/{ref}/check-runs"),
    ("GET", "/repos/{owner}/{repo}/commits/{ref}/statuses"),
    ("POST", "/repos/{owner}/{repo}/statuses/{sha}"),
    ("GET", "/repos/{owner}/{repo}/commits/{commit_sha}/pulls"),
    ("GET", "/repos/{owner}/{repo}/issues/{issue_number}/comments"),
    ("POST", "/repos/{owner}/{repo}/issues/{issue_number}/comments"),
    ("PATCH", "/repos/{owner}/{repo}/issues/comments/{comment_id}"),
    ("GET", "/repos/{owner}/{repo}/deployments"),
    ("POST", "/repos/{owner}/{repo}/deployments"),
    ("GET", "/repos/{owner}/{repo}/deployments/{deployment_id}/statuses"),
    ("POST", "/repos/{owner}/{repo}/deployments/{deployment_id}/statuses"),
    ("POST", "/repos/{owner}/{repo}/actions/runs/{run_id}/deployment_protection_rule"),
    ("GET", "/repos/{owner}/{repo}/rules/branches/{branch}"),
    ("GET", "/repos/{owner}/{repo}/branches/{branch}/protection/required_status_checks"),
]
WORDS = {"description", "title", "example", "examples", "externalDocs", "deprecated", "default"}


class Cut:
    def __init__(self, whole):
        self.whole = whole
        self.definitions = {}

    def resolved(self, node):
        """What a reference stands for; the node itself where it is none."""
        while "$ref" in node:
            found = self.whole
            for name in node["$ref"].removeprefix("#/").split("/"):
                found = found[name]
            node = found
        return node

    def schema(self, node):
        """A schema of OpenAPI 3.0 as JSON Schema."""
        if "$ref" in node:
            name = node["$ref"].removeprefix("#/components/schemas/")
            if name not in self.definitions:
                self.definitions[name] = None
                self.definitions[name] = self.schema(self.resolved(node))
            return {"$ref": f"#/$defs/{name}"}
        cut = {}
        for key, value in node.items():
            if key in WORDS or key.startswith("x-") or key == "nullable":
                continue
            if key == "properties":
                value = {name: self.schema(one) for name, one in value.items()}
            elif key in ("items", "additionalProperties", "not") and isinstance(value, dict):
                value = self.schema(value)
            elif key in ("allOf", "anyOf", "oneOf"):
                value = [self.schema(one) for one in value]
            cut[key] = value
        return {"anyOf": [cut, {"type": "null"}]} if node.get("nullable") else cut

    def body(self, operation):
        content = self.resolved(operation.get("requestBody", {})).get("content", {})
        if "application/json" not in content:
            return None
        return self.closed(content["application/json"]["schema"])

    def closed(self, node):
        """The schema of a body, without references at its top, in which fields that it does not name are refused."""
        node = self.resolved(node)
        if "anyOf" in node and "properties" not in node:
            return {"anyOf": [self.closed(one) for one in node["anyOf"]]}
        cut = self.schema(node)
        self.close(cut)
        return cut

    def close(self, cut):
        if "properties" not in cut:
            return
        cut.pop("oneOf", None)
        cut["additionalProperties"] = False
        for one in cut["properties"].values():
            self.close(one)
            self.close(one.get("items", {}))

    def answers(self, operation):
        answers = {}
        for status, answer in operation["responses"].items():
            content = self.resolved(answer).get("content", {}).get("application/json")
            if not status.startswith("2"):
                continue
            one = answers[status] = {}
            if content:
                one["schema"] = self.schema(content["schema"])
                examples = list(content.get("examples", {}).values())
                one["example"] = self.resolved(examples[0])["value"] if examples else None
        return answers

    def queries(self, operation, path):
        parameters = [self.resolved(one) for one in operation.get("parameters", []) + path.get("parameters", [])]
        return sorted(one["name"] for one in parameters if one["in"] == "query")

    def calls(self):
        for method, path in CALLS:
            item = self.whole["paths"][path]
            operation = item[method.lower()]
            yield {
                "method": method,
                "path": path,
                "query": self.queries(operation, item),
                "body": self.body(operation),
                "answers": self.answers(operation),
            }


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        cut = Cut(json.load(file))
    calls = list(cut.calls())
    info = cut.whole["info"]
    told = {
        "source": f"GitHub's description of its REST API, {info['title']} {info['version']}, MIT, cut by tests/github/cut.py",
        "calls": calls,
        "$defs": dict(sorted(cut.definitions.items())),
    }
    json.dump(told, sys.stdout, indent=1, ensure_ascii=False)
    print()


main()
