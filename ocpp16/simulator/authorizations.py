from __future__ import annotations

from typing import Any

from .configuration import Configuration


class Authorizations:
    """What a charge point knows of id tags: the local list, and a cache of the central system's answers."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.list_version = 0
        self._list: dict[str, dict[str, Any]] = {}
        self._cache: dict[str, dict[str, Any]] = {}

    def remember(self, id_tag: str, id_tag_info: dict[str, Any]) -> None:
        if self.configuration.boolean("AuthorizationCacheEnabled"):
            self._cache[id_tag.lower()] = id_tag_info

    def clear_cache(self) -> str:
        """Returns the status of ClearCache."""
        if not self.configuration.boolean("AuthorizationCacheEnabled"):
            return "Rejected"
        self._cache.clear()
        return "Accepted"

    def parent(self, id_tag: str) -> str | None:
        """The group of a tag, as far as it is known here."""
        return (self._known(id_tag) or {}).get("parent_id_tag")

    def without_asking(self, id_tag: str) -> bool:
        """Whether a session may begin before the central system is asked."""
        return self.configuration.boolean("LocalPreAuthorize") and self._is_accepted(id_tag)

    def offline(self, id_tag: str) -> bool:
        """Whether a session may begin while the central system cannot be asked."""
        if self._known(id_tag) is None:
            return self.configuration.boolean("AllowOfflineTxForUnknownId")
        return self.configuration.boolean("LocalAuthorizeOffline") and self._is_accepted(id_tag)

    def _is_accepted(self, id_tag: str) -> bool:
        return (self._known(id_tag) or {}).get("status") == "Accepted"

    def _known(self, id_tag: str) -> dict[str, Any] | None:
        listed = self._list.get(id_tag.lower()) if self.configuration.boolean("LocalAuthListEnabled") else None
        return listed or self._cache.get(id_tag.lower())

    def update_list(self, version: int, update_type: str, entries: list[dict[str, Any]]) -> str:
        """Returns the status of SendLocalList; nothing has changed unless it is Accepted."""
        if not self.configuration.boolean("LocalAuthListEnabled"):
            return "NotSupported"
        if update_type == "Differential" and version <= self.list_version:
            return "VersionMismatch"
        updated = {} if update_type == "Full" else dict(self._list)
        for entry in entries:
            if entry.get("id_tag_info"):
                updated[entry["id_tag"].lower()] = entry["id_tag_info"]
            else:
                updated.pop(entry["id_tag"].lower(), None)
        too_long = len(entries) > self.configuration.integer("SendLocalListMaxLength")
        if version < 1 or too_long or len(updated) > self.configuration.integer("LocalAuthListMaxLength"):
            return "Failed"
        self._list, self.list_version = updated, version
        return "Accepted"

    @property
    def version(self) -> int:
        """What GetLocalListVersion answers: -1 where local lists are switched off."""
        return self.list_version if self.configuration.boolean("LocalAuthListEnabled") else -1
