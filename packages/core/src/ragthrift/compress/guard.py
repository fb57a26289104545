"""Questions that compression cannot serve: those that need everything, not the best evidence."""

from __future__ import annotations

import re

_EVERYTHING = re.compile(
    r"\b(?:summari[sz]e|summary of|overview of|tl;?dr|list (?:all|every|each|the)|name (?:all|every|each)|enumerate"
    r"|(?:what|which) are (?:all|the (?:various|different))|how many (?:different|distinct)"
    r"|how many \w+ (?:are|were) (?:there|listed|mentioned)"
    r"|all (?:of )?the (?:\w+ ){1,4}(?:mentioned|listed|named|described)|every (?:\w+ ){1,3}(?:mentioned|listed|named)"
    r"|zusammenfass\w*|fass\w* .{0,60}zusammen|(?:nenne|liste) .{0,20}alle|alle \w+ auf(?:listen|zählen)"
    r"|résum\w+|énumér\w+|liste[rz]? (?:tou(?:s|tes)|les)|resum(?:en|ir|a|o)|enumera\w*"
    r"|resum[ea] (?:el|la|los|las|este|esta|estos|estas|lo|o|os|as)"
    r"|(?:lista|enumere|liste) (?:todos|todas|los|las|os|as)|riassum\w+|elenca\w*|samenvat\w*|noem alle"
    r"|перечисл\w+|обобщи\w*|резюмир\w+|кратко изложи\w*)\b"
    r"|总结|概括|列出|所有的?|要約|まとめて|一覧|すべて列挙|요약|모두 나열",
    re.IGNORECASE,
)


def asks_for_everything(query: str) -> bool:
    """Whether the question asks to list or summarise, so that any passage left out may be part of the answer."""
    return _EVERYTHING.search(query[:2000]) is not None
