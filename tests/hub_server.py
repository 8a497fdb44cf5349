"""A local stand-in for the Hugging Face Hub: what huggingface_hub, transformers and datasets use of it.

What it answers follows the client's code and the Hub's public documentation. It keeps everything in memory, and knows users with tokens
of several roles. It runs over a socket, or in the process of the test (`InProcess`), where something can happen between any two requests.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

import httpx2

NOW = "2026-01-01T00:00:00.000Z"
LFS_BYTES = 1_000_000
LFS_ENDINGS = (".safetensors", ".parquet", ".png", ".pdf")
KINDS = {"models": "model", "datasets": "dataset", "spaces": "space"}
PAGE = 20
"""Most entries of a tree in one answer."""


@dataclass(frozen=True)
class Blob:
    """A file's content, with the hashes that the Hub knows it by."""

    content: bytes
    lfs: bool = False

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @cached_property
    def oid(self) -> str:
        return hashlib.sha1(b"blob %d\0" % len(self.content) + self.content).hexdigest()


@dataclass(frozen=True)
class Commit:
    oid: str
    parent: str | None
    title: str
    author: str
    files: dict[str, Blob]
    message: str = ""


@dataclass
class Repo:
    name: str
    kind: str
    private: bool
    gated: bool = False
    labels: list[str] = field(default_factory=list)  # which the Hub calls tags
    commits: dict[str, Commit] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def at(self, revision: str) -> Commit:
        commit = self.commits.get(self.refs.get(revision) or self.tags.get(revision) or revision)
        if commit is None:
            raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return commit

    def history(self, commit: Commit) -> list[Commit]:
        out = [commit]
        while (parent := out[-1].parent) is not None:
            out.append(self.commits[parent])
        return out


@dataclass
class User:
    name: str
    role: str = "write"
    scopes: list[dict[str, Any]] | None = None


@dataclass
class Fault:
    """What goes wrong over the socket: a request that matches is answered `silent`, `slow` or with a `flip` of a bit."""

    method: str
    path: str
    kind: str
    times: int = 1


class HubError(Exception):
    def __init__(self, status: int, message: str, code: str = "") -> None:
        self.status, self.message, self.code = status, message, code


@dataclass
class Asked:
    """A request, and the repository and the rest that its address names."""

    request: httpx2.Request
    kind: str
    name: str
    rest: tuple[str, ...]

    @property
    def json(self) -> Any:
        return json.loads(self.request.content)


def answer(data: Any, status: int = 200, **headers: str) -> httpx2.Response:
    return httpx2.Response(status, json=data, headers=headers)


class HubServer:
    """The server; its state may be looked at and changed."""

    def __init__(self) -> None:
        self.repos: dict[tuple[str, str], Repo] = {}
        self.users: dict[str, User] = {}
        self.objects: dict[str, Blob] = {}
        self.faults: list[Fault] = []
        self.log: list[tuple[str, str]] = []
        self.moved: dict[tuple[str, str], str] = {}
        self.revealed: list[tuple[str, str, dict[str, Blob]]] = []  # what each repository held when it was made public
        self.url = "https://huggingface.co"
        self._serial = 0
        api = r"/api/(?P<kinds>models|datasets|spaces)/(?P<name>[^/]+/[^/]+)"
        page = r"/(?:(?P<kinds>datasets|spaces)/)?(?P<name>[^/]+/[^/]+?)"
        self.routes: list[tuple[str, str, Callable[[Asked], httpx2.Response]]] = [
            ("GET", "/api/whoami-v2", self.whoami),
            ("POST", "/api/validate-yaml", self.validate_yaml),
            ("POST", "/api/repos/create", self.create),
            ("POST", "/api/repos/move", self.move),
            ("POST", "/oauth/token", self.exchange),
            ("PUT", "/lfs/([0-9a-f]+)", self.put_object),
            ("GET", f"{api}(?:/revision/([^/]+))?", self.info),
            ("GET", f"{api}/auth-check(/write)?", self.auth_check),
            ("PUT", f"{api}/settings", self.settings),
            ("POST", f"{api}/preupload/([^/]+)", self.preupload),
            ("POST", f"{api}/commit/([^/]+)", self.commit),
            ("GET", f"{api}/tree/([^/]+)(?:/(.*))?", self.tree),
            ("GET", f"{api}/refs", self.list_refs),
            ("GET", f"{api}/commits/([^/]+)", self.commits),
            ("POST", f"{api}/tag/([^/]+)", self.tag),
            ("POST", rf"{page}\.git/info/lfs/objects/batch", self.batch),
            ("GET", f"{page}/resolve/([^/]+)/(.*)", self.resolve),
        ]

    # Answering.

    def asked(self, request: httpx2.Request) -> tuple[Callable[[Asked], httpx2.Response], Asked]:
        """Read a request's address: who answers it, and what it is about."""
        method = "GET" if request.method == "HEAD" else request.method
        for known, pattern, handler in self.routes:
            found = re.fullmatch(pattern, request.url.raw_path.decode().partition("?")[0])
            if found and known == method:
                named = found.groupdict()
                others = [i for i in range(1, found.re.groups + 1) if i not in found.re.groupindex.values()]
                rest = tuple(unquote(found[i] or "") for i in others)
                return handler, Asked(request, KINDS[named.get("kinds") or "models"], named.get("name") or "", rest)
        raise HubError(404, "no such address")

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        self.log.append((request.method, request.url.path))
        try:
            handler, asked = self.asked(request)
            return handler(asked)
        except HubError as error:
            if error.status == 307:
                return httpx2.Response(307, headers={"Location": error.message})
            headers = {"X-Error-Message": error.message, "X-Error-Code": error.code}
            return answer({"error": error.message}, error.status, **{k: v for k, v in headers.items() if v})

    def start(self) -> str:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: object) -> None:
                del format, args

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                request = httpx2.Request(self.command, hub.url + self.path, headers=self.headers.items(), content=body)
                fault = hub.fault(request)
                if fault == "silent":
                    hub.log.append((request.method, request.url.path))
                    time.sleep(600)
                given = hub.answer(request)
                given.headers["Content-Length"] = str(len(given.content) + 10**6 * (fault == "slow"))
                self.send_response(given.status_code)
                for name, value in given.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                while fault == "slow":  # a byte now and then, for ever
                    self.wfile.write(b" ")
                    time.sleep(0.2)
                flipped = bytes([given.content[0] ^ 1]) + given.content[1:] if fault == "flip" else given.content
                self.wfile.write(flipped if self.command != "HEAD" else b"")

            do_HEAD = do_POST = do_PUT = do_GET

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads, self._server.block_on_close = True, False
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        return self.url

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def fault(self, request: httpx2.Request) -> str | None:
        for fault in self.faults:
            if fault.times > 0 and fault.method == request.method and re.search(fault.path, request.url.path):
                fault.times -= 1
                return fault.kind
        return None

    # Who asks.

    def user(self, asked: Asked) -> User | None:
        header = asked.request.headers.get("authorization", "")
        if not header:
            return None
        user = self.users.get(header.removeprefix("Bearer "))
        if user is None:
            raise HubError(401, "Invalid credentials in Authorization header")
        return user

    def may_write(self, user: User | None, name: str) -> bool:
        if user is None or user.role == "read":
            return False
        namespace = name.split("/")[0]
        if user.role == "oidc":
            return name == user.name
        if user.role == "fineGrained":
            owners = [s["entity"]["name"] for s in user.scopes or [] if "repo.write" in s["permissions"]]
            return bool({namespace, name} & set(owners))
        return namespace == user.name

    def find(self, asked: Asked, *, write: bool = False) -> Repo:
        kind, name, user = asked.kind, asked.name, self.user(asked)
        if new := self.moved.get((kind, name)):
            raise HubError(307, asked.request.url.raw_path.decode().replace(f"/{name}", f"/{new}", 1))
        repo = self.repos.get((kind, name))
        mine = user is not None and user.name in (name.split("/")[0], name)
        if repo is None or (repo.private and not mine):
            raise HubError(404 if user else 401, "Repository not found", "RepoNotFound")
        if write and not self.may_write(user, name):
            raise HubError(403, "You don't have the required permissions to perform this action")
        return repo

    # Accounts and cards.

    def whoami(self, asked: Asked) -> httpx2.Response:
        user = self.user(asked)
        if user is None or user.role == "oidc":
            raise HubError(401, "Invalid username or password.")
        access: dict[str, Any] = {"displayName": "test", "role": user.role}
        if user.scopes is not None:
            access["fineGrained"] = {"scoped": user.scopes}
        return answer({"type": "user", "name": user.name, "orgs": [], "auth": {"accessToken": access}})

    def exchange(self, asked: Asked) -> httpx2.Response:
        if asked.json.get("subject_token") != "ci-identity":
            raise HubError(400, "invalid_grant")
        resource = asked.json["resource"]
        token = "hf_jwt_" + hashlib.sha1(resource.encode()).hexdigest()
        self.users[token] = User(resource.removeprefix("datasets/"), role="oidc")
        return answer({"access_token": token, "token_type": "bearer", "expires_in": 3600})

    def validate_yaml(self, asked: Asked) -> httpx2.Response:
        return answer({"errors": [], "warnings": []})

    # Repositories.

    def add_repo(self, kind: str, name: str, *, private: bool = False) -> Repo:
        """Make a repository as the Hub does: with one commit that holds .gitattributes, and a first page for a Space."""
        repo = self.repos[(kind, name)] = Repo(name, kind, private)
        files = {".gitattributes": Blob(b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n")}
        first_page = ("README.md", "index.html", "style.css") if kind == "space" else ()
        self.add_commit(
            repo, "main", None, "initial commit", "system", files | dict.fromkeys(first_page, Blob(b"page"))
        )
        return repo

    def add_commit(
        self, repo: Repo, ref: str, parent: Commit | None, title: str, author: str, files: dict[str, Blob]
    ) -> Commit:
        self._serial += 1
        oid = hashlib.sha1(f"{repo.kind} {repo.name} {self._serial}".encode()).hexdigest()
        commit = Commit(oid, parent.oid if parent else None, title, author, files)
        repo.commits[oid] = commit
        repo.refs[ref] = oid
        return commit

    def edit(self, kind: str, name: str, path: str, content: bytes, author: str = "visitor") -> None:
        """Change a file as another person would in the browser."""
        repo = self.repos[(kind, name)]
        head = repo.at("main")
        self.add_commit(repo, "main", head, f"Update {path}", author, {**head.files, path: Blob(content)})

    def create(self, asked: Asked) -> httpx2.Response:
        body, user = asked.json, self.user(asked)
        if user is None:
            raise HubError(401, "Invalid username or password.")
        kind, name = body.get("type", "model"), f"{body.get('organization') or user.name}/{body['name']}"
        if not self.may_write(user, name.split("/")[0]):
            raise HubError(403, "You don't have the rights to create a repository under this namespace")
        url = f"{self.url}/{'' if kind == 'model' else kind + 's/'}{name}"
        if (kind, name) in self.repos:
            return answer({"error": "You already created this repo", "url": url}, 409)
        if kind == "space" and body.get("sdk") != "static":
            raise HubError(400, "sdk must be static")
        self.moved.pop((kind, name), None)  # the name leads to the new repository from now on
        self.add_repo(kind, name, private=body.get("visibility") == "private")
        return answer({"url": url, "name": name})

    def info(self, asked: Asked) -> httpx2.Response:
        repo = self.find(asked)
        commit = repo.at(asked.rest[0] or "main")
        gated = "manual" if repo.gated else False
        return answer(
            {"id": repo.name, "sha": commit.oid, "private": repo.private, "gated": gated, "tags": repo.labels}
        )

    def auth_check(self, asked: Asked) -> httpx2.Response:
        self.find(asked, write=asked.rest[0] == "/write")
        return answer({})

    def rename(self, kind: str, name: str, new: str) -> None:
        """Rename a repository as its owner does; the old name leads to the new one."""
        repo = self.repos.pop((kind, name))
        repo.name = new
        self.repos[(kind, new)] = repo
        self.moved[(kind, name)] = new

    def move(self, asked: Asked) -> httpx2.Response:
        body, user = asked.json, self.user(asked)
        kind, name, new = body["type"], body["fromRepo"], body["toRepo"]
        if (kind, name) not in self.repos:
            raise HubError(404, "Repository not found", "RepoNotFound")
        if not all(self.may_write(user, place.split("/")[0]) for place in (name, new)):
            raise HubError(403, "You don't have the rights to rename this repository")
        if (kind, new) in self.repos:
            raise HubError(409, "The new name is taken")
        self.rename(kind, name, new)
        return answer({})

    def settings(self, asked: Asked) -> httpx2.Response:
        repo = self.find(asked, write=True)
        if repo.private and asked.json["visibility"] == "public":
            self.revealed.append((repo.kind, repo.name, repo.at("main").files))
        repo.private = asked.json["visibility"] == "private"
        return answer(asked.json)

    def tree(self, asked: Asked) -> httpx2.Response:
        revision, folder = asked.rest
        commit = self.find(asked).at(revision)
        recursive = asked.request.url.params.get("recursive", "false").lower() == "true"
        entries: dict[str, dict[str, Any]] = {}
        prefix = f"{folder}/" if folder else ""
        for path, blob in sorted(commit.files.items()):
            inside = path.removeprefix(prefix).split("/")
            if not path.startswith(prefix):
                continue
            for depth in range(1, len(inside) if recursive else min(len(inside), 2)):
                parent = prefix + "/".join(inside[:depth])
                entries.setdefault(parent, {"type": "directory", "path": parent, "oid": "0" * 40, "size": 0})
            if recursive or len(inside) == 1:
                entries[path] = self.entry(path, blob)
        if folder and not entries:
            raise HubError(404, "Entry not found", "EntryNotFound")
        start = int(asked.request.url.params.get("cursor", 0))
        headers = {}
        if start + PAGE < len(entries):
            address = f"{self.url}{asked.request.url.path}?recursive={recursive}&cursor={start + PAGE}"
            headers["Link"] = f'<{address}>; rel="next"'
        return answer(list(entries.values())[start : start + PAGE], **headers)

    def entry(self, path: str, blob: Blob) -> dict[str, Any]:
        size = len(blob.content)
        lfs = {"lfs": {"oid": blob.sha256, "size": size, "pointerSize": 134}} if blob.lfs else {}
        return {"type": "file", "path": path, "size": size, "oid": blob.oid, **lfs}

    def list_refs(self, asked: Asked) -> httpx2.Response:
        repo = self.find(asked)
        refs = {
            kind: [{"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": oid} for name, oid in listed.items()]
            for kind, listed in (("branches", repo.refs), ("tags", repo.tags))
        }
        return answer({**refs, "converts": [], "pullRequests": []})

    def commits(self, asked: Asked) -> httpx2.Response:
        repo = self.find(asked)
        return answer(
            [
                {"id": c.oid, "title": c.title, "message": c.message, "date": NOW, "authors": [{"user": c.author}]}
                for c in repo.history(repo.at(asked.rest[0]))
            ]
        )

    def tag(self, asked: Asked) -> httpx2.Response:
        repo, name = self.find(asked, write=True), asked.json["tag"]
        if name in repo.tags:
            raise HubError(409, f"Tag {name} already exists")
        repo.tags[name] = repo.at(asked.rest[0]).oid
        return answer({})

    # Uploads.

    def preupload(self, asked: Asked) -> httpx2.Response:
        commit = self.find(asked, write=True).at(asked.rest[0])
        files = []
        for entry in asked.json["files"]:
            path, known = entry["path"], commit.files.get(entry["path"])
            lfs = entry["size"] > LFS_BYTES or path.endswith(LFS_ENDINGS)
            same = {"oid": known.sha256 if known.lfs else known.oid} if known else {}
            files.append({"path": path, "uploadMode": "lfs" if lfs else "regular", "shouldIgnore": False, **same})
        return answer({"files": files})

    def batch(self, asked: Asked) -> httpx2.Response:
        self.find(asked, write=True)
        objects = []
        for entry in asked.json["objects"]:
            upload = {"actions": {"upload": {"href": f"{self.url}/lfs/{entry['oid']}"}}}
            objects.append(
                {"oid": entry["oid"], "size": entry["size"], **({} if entry["oid"] in self.objects else upload)}
            )
        return answer({"transfer": "basic", "objects": objects})

    def put_object(self, asked: Asked) -> httpx2.Response:
        blob = Blob(asked.request.content, lfs=True)
        if blob.sha256 != asked.rest[0]:
            raise HubError(400, "the content is not the announced one")
        self.objects[blob.sha256] = blob
        return httpx2.Response(200)

    def commit(self, asked: Asked) -> httpx2.Response:
        repo, user = self.find(asked, write=True), self.user(asked)
        assert user is not None
        head = repo.at(asked.rest[0])
        header, *lines = (json.loads(line) for line in asked.request.content.splitlines())
        if header["value"].get("parentCommit") not in (None, head.oid):
            raise HubError(412, "A commit has happened since. Please refresh and try again.")
        files = dict(head.files)
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = Blob(base64.b64decode(value["content"]))
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.objects[value["oid"]]
            elif files.pop(value["path"], None) is None:
                raise HubError(404, "A file with this name doesn't exist", "EntryNotFound")
        commit = self.add_commit(repo, asked.rest[0], head, header["value"]["summary"], user.name, files)
        repo.commits[commit.oid] = replace(commit, message=header["value"].get("description", ""))
        url = f"{self.url}/{'' if repo.kind == 'model' else repo.kind + 's/'}{repo.name}/commit/{commit.oid}"
        return answer({"success": True, "commitOid": commit.oid, "commitUrl": url})

    # Downloads.

    def resolve(self, asked: Asked) -> httpx2.Response:
        repo = self.find(asked)
        commit = repo.at(asked.rest[0])
        if repo.gated and self.user(asked) is None:
            raise HubError(401, f"Access to model {repo.name} is restricted", "GatedRepo")
        blob = commit.files.get(asked.rest[1])
        if blob is None:
            raise HubError(404, "Entry not found", "EntryNotFound")
        headers = {"X-Repo-Commit": commit.oid, "ETag": f'"{blob.sha256 if blob.lfs else blob.oid}"'}
        return httpx2.Response(200, content=blob.content, headers=headers)


class InProcess(httpx2.BaseTransport):
    """Sends requests to the server in this process.

    Attributes:
        before: Called with each request before it is answered, and what it returns or raises is the answer.
        after: Called with each request and its answer, which it may replace.
    """

    def __init__(self, hub: HubServer) -> None:
        self.hub = hub
        self._one = threading.Lock()  # huggingface_hub uploads several files in threads
        self.before: Callable[[httpx2.Request], httpx2.Response | None] = lambda request: None
        self.after: Callable[[httpx2.Request, httpx2.Response], httpx2.Response] = lambda request, response: response

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        request.read()
        if given := self.before(request):
            return given
        with self._one:
            given = self.hub.answer(request)
        given.request = request
        if request.method == "HEAD":
            given = httpx2.Response(given.status_code, headers=given.headers, request=request)
        return self.after(request, given)
