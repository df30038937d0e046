"""From a folder of YAML files to a `Snapshot`, or to everything that is wrong with them at once."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from media.api import Suite
from sbc.policy import model, values
from sbc.policy.check import check
from sbc.policy.checking.checker import Policy
from sbc.policy.compile import compile_policy
from sbc.policy.contents import Contents, contents_of
from sbc.policy.credentials import check_authorities, check_loopback, check_signer
from sbc.policy.document import Document
from sbc.policy.lists import read_lists
from sbc.policy.material import check_certificates, kept_in, read_secrets
from sbc.policy.numbering import read_entries
from sbc.policy.places import Places
from sbc.policy.problems import Path as Keys
from sbc.policy.problems import Place, PolicyErrors, Problem, did_you_mean
from sbc.policy.profile import Inherited, inherit
from sbc.policy.shielding import ShieldModel
from sbc.policy.snapshot import Snapshot
from sbc.policy.text import Text, read_text

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Loaded:
    """`warnings` do not keep the policy from being used, but the operator should see them.

    kept_in     by trunk that registers with a password we know: where that is, for people
    inherited   by trunk that has a profile: what comes from that
    places      where everything stands
    text        what is in its files
    contents    of the files that it refers to
    """

    snapshot: Snapshot
    warnings: tuple[Problem, ...]
    kept_in: Mapping[str, str]
    inherited: Mapping[str, Inherited]
    places: Places
    text: Text
    contents: Contents


def load_policy(folder: Path, suites: Collection[Suite] = tuple(Suite), text: Text | None = None, certs: Path | None = None) -> Loaded:
    """Read and compile all *.yaml files of `folder` (not of its subfolders), in the order of their names. `suites` are those
    that the media engine has ciphers for.

    Secrets and client_ca are relative to `folder`; certificates are in `certs/` beside it, or where `certs` says.
    `text`: what the files have instead. Raises PolicyErrors with every problem found. Reads files; touches no network.
    """
    text = text or read_text(folder)
    document, policy, inherited, digest = _parse(text)
    problems, warnings = check(document, policy, suites)
    certs = certs_of(folder, certs)
    contents = contents_of(policy, folder, certs)
    secrets = read_secrets(document, policy, folder, problems)
    check_certificates(document, policy, folder, certs, problems, warnings)
    check_authorities(document, policy, folder, problems, warnings)
    check_signer(document, policy, folder, certs, problems, warnings)
    check_loopback(document, policy, folder, certs, problems)
    lists = read_lists(document, policy, folder, digest, problems)
    if errors := document.problems + problems:
        raise PolicyErrors(_in_order(errors))
    snapshot = compile_policy(document, policy, secrets, lists, digest.hexdigest()[:12], folder.absolute(), certs, suites)
    return Loaded(snapshot, tuple(_in_order(warnings)), _kept_in(policy, folder), inherited, Places(document), text, contents)


def certs_of(folder: Path, certs: Path | None = None) -> Path:
    """Where certificates are, unless `certs` says."""
    return certs or folder.absolute().parent / "certs"


def read_one(file: Path, kind: type[M]) -> M:
    """A file that is no policy but one object, in the same strict YAML. Raises PolicyErrors with every problem found."""
    document = Document(str(file))
    try:
        document.read(str(file), file.read_bytes())
    except OSError as error:
        raise PolicyErrors([Problem(Place(str(file)), (), f"cannot be read: {error.strerror}")]) from None
    found = object_of(document, document.plain(), (), kind) if not document.problems else None
    if found is None or document.problems:
        raise PolicyErrors(_in_order(document.problems))
    return found


def read_policy(text: Text) -> tuple[Document, Policy]:
    """The objects of a policy, without anything that they refer to. Raises PolicyErrors."""
    document, policy, *_ = _parse(text)
    if document.problems:
        raise PolicyErrors(_in_order(document.problems))
    return document, policy


def _parse(text: Text) -> tuple[Document, Policy, Mapping[str, Inherited], hashlib._Hash]:
    document, digest = _read(text)
    inherited, lent = inherit(document, text)
    for data in lent:
        digest.update(b"%d:%s" % (len(data), data))
    if document.broken:
        raise PolicyErrors(_in_order(document.problems))
    policy = _validate(document)
    _excuse(document)
    return document, policy, inherited, digest


def _kept_in(policy: Policy, folder: Path) -> dict[str, str]:
    passwords = {
        name: trunk.accepts_registration.password for name, trunk in policy.trunks.items() if trunk.accepts_registration is not None
    }
    return {name: kept_in(password, folder) for name, password in passwords.items() if password is not None}


def _in_order(problems: list[Problem]) -> list[Problem]:
    return sorted(set(problems), key=lambda problem: (problem.place, problem.what))


def _read(text: Text) -> tuple[Document, hashlib._Hash]:
    document, digest = Document(str(text.folder)), hashlib.sha256()
    files = text.policy()
    if not files:
        raise PolicyErrors([Problem(Place(str(text.folder)), (), _nothing_in(text.folder))])
    for name, data in files.items():
        digest.update(b"%d:%s" % (len(data), data))
        document.read(str(text.folder / name), data)
    return document, digest


def _nothing_in(folder: Path) -> str:
    if folder.is_file():
        return f"a policy is a folder: name {folder.parent}, all *.yaml of it count"
    return "no *.yaml file there" if folder.is_dir() else "no such folder"


def _excuse(document: Document) -> None:
    """A trunk whose profile is not there lacks what that would have given it: one mistake, one error."""
    astray = {problem.path[:-1] for problem in document.problems if problem.path[-1:] == ("profile",)}
    document.problems = [problem for problem in document.problems if problem.path not in astray or problem.what != "needs 'media'"]


def _validate(document: Document) -> Policy:
    """Every object by itself, so that one mistake does not hide another one elsewhere."""
    raw = document.plain()
    assert isinstance(raw, dict)
    for section in raw:
        if section not in model.PolicyModel.model_fields:
            what = f"unknown key{did_you_mean(section, model.PolicyModel.model_fields)}"
            document.problems.append(Problem(document.key_place((section,)), (section,), what))
    if "version" not in raw:
        document.problems.append(Problem(document.root.place, (), "needs 'version: 1'"))
    elif raw["version"] != 1:
        document.problems.append(Problem(document.place(("version",)), ("version",), "this program knows version 1 of the language"))
    if "realms" not in raw:
        document.problems.append(Problem(document.root.place, (), "needs 'realms'"))
    return Policy(
        realms=_objects(document, raw, "realms", model.RealmModel),
        trunks=_objects(document, raw, "trunks", model.TrunkModel),
        users=_objects(document, raw, "users", model.UserModel),
        sites=_objects(document, raw, "sites", model.SiteModel),
        routes=_routes(document, raw),
        limits=_objects(document, raw, "limits", model.LimitsModel),
        media=_objects(document, raw, "media", model.MediaModel),
        headers=_edits(document, raw),
        blocks=_objects(document, raw, "blocks", model.BlockModel),
        numbers=read_entries(document, raw.get("numbers"), partial(_line, document)),
        emergency=_objects(document, raw, "emergency", model.EmergencyModel),
        no_emergency=_realms_without_emergency(raw.get("emergency")),
        everybody=object_of(document, raw["everybody"], ("everybody",), model.EverybodyModel) if raw.get("everybody") is not None else None,
        strangers=object_of(document, raw.get("strangers", {}), ("strangers",), model.StrangersModel) or model.StrangersModel(),
        identity=object_of(document, raw["identity"], ("identity",), model.IdentityModel) if raw.get("identity") is not None else None,
        shield=object_of(document, raw.get("shield", {}), ("shield",), ShieldModel) or ShieldModel(),
    )


def _objects(document: Document, raw: Mapping[str, Any], section: str, kind: type[M]) -> dict[str, M]:
    entries = raw.get(section, {})
    if entries is None:
        return {}
    if not isinstance(entries, dict):
        document.problems.append(Problem(document.place((section,)), (section,), "must be a mapping: each object by its name"))
        return {}
    if section == "realms" and section in raw and not entries:
        document.problems.append(Problem(document.place((section,)), (section,), "needs at least one realm"))
    found: dict[str, M] = {}
    for name, entry in entries.items():
        try:
            values.name(name)
        except ValueError as error:
            document.problems.append(Problem(document.key_place((section, name)), (section, name), str(error)))
        if section == "emergency" and entry == "none":
            continue
        if (valid := object_of(document, entry, (section, name), kind)) is not None:
            found[name] = valid
    return found


def _routes(document: Document, raw: Mapping[str, Any]) -> dict[int, model.RouteModel]:
    entries = raw.get("routes", [])
    if entries is None:
        return {}
    if not isinstance(entries, list):
        document.problems.append(Problem(document.place(("routes",)), ("routes",), "must be a list: '- name: …', the first match wins"))
        return {}
    valid = {index: object_of(document, entry, ("routes", index), model.RouteModel) for index, entry in enumerate(entries)}
    return {index: route for index, route in valid.items() if route is not None}


def _edits(document: Document, raw: Mapping[str, Any]) -> dict[str, dict[int, model.EditModel]]:
    """Those that are valid by themselves, by the name of their object and their place in it."""
    entries = raw.get("headers", {})
    if entries is not None and not isinstance(entries, dict):
        document.problems.append(Problem(document.place(("headers",)), ("headers",), "must be a mapping: each list of edits by its name"))
    found: dict[str, dict[int, model.EditModel]] = {}
    for name, edits in entries.items() if isinstance(entries, dict) else ():
        path = ("headers", name)
        try:
            values.name(name)
        except ValueError as error:
            document.problems.append(Problem(document.key_place(path), path, str(error)))
        if isinstance(edits, list) and edits:
            valid = {index: object_of(document, edit, (*path, index), model.EditModel) for index, edit in enumerate(edits)}
            found[name] = {index: edit for index, edit in valid.items() if edit is not None}
        elif edits is not None:
            what = "must not be empty" if isinstance(edits, list) else "must be a list of edits: '- remove: [User-Agent]'"
            document.problems.append(Problem(document.place(path), path, what))
    return found


def _line(document: Document, entry: object, path: Keys) -> tuple[str, tuple[str, ...]] | None:
    line = object_of(document, entry, path, model.LineModel)
    return (line.owner, tuple(line.limits or ())) if line is not None else None


def _realms_without_emergency(entries: object) -> frozenset[str]:
    return frozenset(name for name, entry in entries.items() if entry == "none") if isinstance(entries, dict) else frozenset()


def object_of(document: Document, entry: object, path: Keys, kind: type[M]) -> M | None:
    """What is written at `path`, if it is valid by itself; else what is wrong with it is among the problems of the document."""
    try:
        return kind.model_validate(entry)
    except ValidationError as errors:
        found = [_problem(document, path, kind, error) for error in errors.errors(include_url=False, include_input=False)]
        # A key without a value has been reported as that already.
        document.problems += [problem for problem in found if document.plain(document.trim(problem.path)) is not None]
        return None


def _problem(document: Document, path: Keys, kind: type[BaseModel], error: ErrorDetails) -> Problem:
    location = error["loc"]
    full = (*path, *(part for part in location if part != "[key]"))
    match error["type"]:
        case "extra_forbidden":
            known = _keys_at(kind, location[:-1])
            return Problem(document.key_place(full), full, f"unknown key{did_you_mean(str(location[-1]), known)}")
        case "missing":
            owner = document.trim(full[:-1])
            return Problem(document.key_place(owner), owner, f"needs {location[-1]!r}")
        case "value_error":
            what = str(error["ctx"]["error"])
        case "model_type" | "model_attributes_type":
            what = "must be a mapping: 'key: value', or {key: value}"
        case "list_type":
            what = "must be a list: [one, other]"
        case "dict_type":
            what = "must be a mapping: {key: value}"
        case "too_short":
            what = "must not be empty"
        case "int_type":
            what = "must be a number"
        case "bool_type":
            what = "must be true or false"
        case "literal_error":
            what = f"must be {error['ctx']['expected']}"
        case "greater_than_equal":
            what = f"must be at least {error['ctx']['ge']}"
        case _:
            what = error["msg"]
    trimmed = document.trim(full)
    place = document.key_place(trimmed) if "[key]" in location else document.place(trimmed)
    return Problem(place, trimmed, what)


def _keys_at(kind: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """The keys that may be written in the object at `location` within a `kind`."""
    for part in location:
        if isinstance(part, str) and part in kind.model_fields:
            annotation = kind.model_fields[part].annotation
            inner = (item for item in (annotation, *get_args(annotation)) if isinstance(item, type) and issubclass(item, BaseModel))
            kind = next(inner, kind)
    return list(kind.model_fields)
