"""What the tokenizer knows of English: abbreviations, contractions, emoticons, prefixes, and the scanner's pattern.

Data and regular expressions only; how they are applied is tokenizer.py's business. The conventions are those of the
English Web Treebank: hyphens and slashes split words, prefixes such as "anti-" don't, "do" + "n't" are two words.
"""

from __future__ import annotations

import re
import unicodedata

# Written with a period that belongs to the word. Lower case; any case matches.
_ABBREVIATIONS = """
    mr mrs ms dr drs prof rev hon gov sen rep reps gen col capt cpt lt sgt maj cmdr pvt st ste jr sr messrs mt ft
    jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed thu thur thurs fri sat sun
    inc corp co ltd llc bros dept assn assoc univ est vs viz cf al approx ave blvd rd hwy bldg apt ext attn
    vol pp nos no fig sec ch para eds cont misc esp incl max min avg dist
    ph.d ed.d b.sc m.sc e.g i.e eg ie a.k.a p.s yrs arrv lv conf spec etc sts ps calif conn mass penn tenn wash
"""
ABBREVIATIONS = frozenset(_ABBREVIATIONS.split())

# Abbreviations that often end a sentence: before a capital the period is not theirs.
ENDING = frozenset({"etc", "no", "al", "a.m", "p.m"})

# Abbreviations that are words too: the period is theirs only where the sentence goes on.
_DOUBTFUL = "no al est ext min max sec sun sat mass wash ch misc cont fig penn spec"
DOUBTFUL = frozenset(_DOUBTFUL.split())

# Contractions without an apostrophe, or that nothing but a list can tell: how many characters each word has.
CONTRACTIONS: dict[str, tuple[int, ...]] = {
    "cannot": (3, 3), "gonna": (3, 2), "wanna": (3, 2), "gotta": (3, 2), "outta": (3, 2), "dunno": (2, 1, 2),
    "gimme": (3, 2), "lemme": (3, 2), "whatcha": (4, 1, 2), "wana": (3, 1), "c'mon": (3, 2),
    "im": (1, 1), "ive": (1, 2), "youre": (3, 2), "youve": (3, 2), "youll": (3, 2), "theyre": (4, 2), "theyve": (4, 2),
    "theyll": (4, 2), "weve": (2, 2), "hes": (2, 1), "shes": (3, 1), "thats": (4, 1), "whats": (4, 1), "theres": (5, 1),
    "heres": (4, 1), "lets": (3, 1), "wheres": (5, 1), "hows": (3, 1), "itll": (2, 2), "thatll": (4, 2),
    "cant": (2, 2), "dont": (2, 2), "wont": (2, 2), "doesnt": (4, 2), "didnt": (3, 2), "isnt": (2, 2), "arent": (3, 2),
    "wasnt": (3, 2), "werent": (4, 2), "havent": (4, 2), "hasnt": (3, 2), "hadnt": (3, 2), "wouldnt": (5, 2),
    "couldnt": (5, 2), "shouldnt": (6, 2), "aint": (2, 2), "arnt": (2, 2), "dosent": (4, 2),
    "'tis": (2, 2), "'twas": (2, 3), "elses": (4, 1), "d'ya": (2, 2), "awhile": (1, 5),
}

# Written as one by mistake; each part is a token of its own.
RUN_TOGETHER: dict[str, tuple[int, ...]] = {
    "alot": (1, 3), "atleast": (2, 5), "aswell": (2, 4), "infact": (2, 4), "eventhough": (4, 6), "incase": (2, 4),
    "i'ma": (3, 1), "aren'ta": (6, 1), "isn'ta": (5, 1),
}

# These are contractions only in this very spelling.
CONTRACTIONS_AS_SPELT: dict[str, tuple[int, ...]] = {"Its": (2, 1)}

# Kept whole though they look like a contraction.
NO_CONTRACTIONS = frozenset({"o'clock", "ma'am", "rock'n'roll", "ain't'"})

APOSTROPHES = "'’`´‘"
NEGATION = re.compile(rf"n[{APOSTROPHES}]t", re.IGNORECASE)
CLITIC = re.compile(rf"(?:[{APOSTROPHES}](?:s|m|re|ve|ll|d)|n[{APOSTROPHES}]t)", re.IGNORECASE)

_PREFIXES = ("e|non|anti|pre|post|re|co|mid|pro|ex|multi|semi|over|sub|un|neo|counter|inter|intra|mis|micro|mini|macro|"
             "ultra|trans|vice|arch|pseudo|quasi|psycho|bi|tri|de|dis|mega|hyper|extra|cross|socio|geo|under")
_LETTER = r"[^\W\d_]"
_APOSTROPHE = f"[{APOSTROPHES}]"
_TOP = ("com|net|org|edu|gov|mil|info|biz|co|uk|ca|de|fr|es|nl|ch|jp|ru|nz|au|eu|tv|io|ly|cc|cn|br|pk|za|dk|fi|pl")
_FILE = ("doc|docx|xls|xlsx|ppt|pptx|pdf|txt|rtf|csv|htm|html|php|asp|aspx|cfm|jsp|jpg|jpeg|gif|png|bmp|tif|zip|gz|tar|"
         "rar|exe|dll|mp3|mp4|avi|mov|wav|wma|wmv|url|msg|py|js|css|xml|json|pps")
_EMOTICONS = (
    r"[<>]?[:;=][-'^o]?(?:[)(\]\[}{|/\\*]+|[DPpOo3SsXx](?!\w))|[(\[][-']?[:;=](?![-\w'])|<3+(?!\d)|</3|\^[_.-]?\^;*|"
    r"-_+-|[oO0][_.][oO0](?!\w)|>[._]<|T_T|\\o/|:'+[(\[)]|¯\\_\(ツ\)_/¯|\(:|[☺☹♥❤]\uFE0F?"
)
_PICTURES = (r"[\U0001F1E6-\U0001F1FF]{2}|"
             r"[\U0001F300-\U0001FAFF\u2600-\u27BF][\uFE0F\u200D\U0001F300-\U0001FAFF\u2640\u2642]*")

def _marks() -> str:
    """Combining marks, as ranges for a character class: they belong to the letter before, and are no \\w to `re`.

    Without those of emoji, which have rules of their own.
    """
    places = (place for block in ((0x300, 0x2000), (0x2C00, 0xFE00), (0x10000, 0x12000)) for place in range(*block))
    marks = [place for place in places if unicodedata.category(chr(place)).startswith("M")]
    firsts = [place for place, before in zip(marks, [0, *marks], strict=False) if place != before + 1]
    lasts = [place for place, after in zip(marks, [*marks[1:], 0], strict=True) if after != place + 1]
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in zip(firsts, lasts, strict=True))


_MARKS = _marks()
_JOINERS = rf"[\u200C\u200D](?=[^\W\d_]|[{_MARKS}])"  # within words of Persian and of India's scripts

# What the scanner takes at a place, first match first. Names say which rule finishes the piece.
SCANNER = re.compile(rf"""
    (?P<web> (?:(?:https?|ftp|file|news|ymsgr|mailto|irc)://?|www\d?\.|mailto:|ymsgr:)
        [^\s<>"“”]*[^\s<>"“”.,;:!?)\]}}'’*] /?
      | [\w.+%=&-]*[\w%-]\.*@[A-Za-z][\w-]*(?:\.[\w-]+)*
      | (?<![\w@.]) (?:[A-Za-z0-9][\w-]*\.)+(?:{_TOP}|(?i:com|net|org|edu|gov))(?![\w])
        (?: (?:/|\?\w) [^\s<>"]*[^\s<>".,;:!?)\]}}'] | /)?
      | (?<![\w@.]) [\w\#-]+(?:\.[\w-]+)*\.(?i:{_FILE})(?!\w)
      | (?<![\w@.]) (?:alt|comp|rec|misc|sci|soc|talk|news|humanities|uk)(?:\.[a-z][\w-]*)+
      | (?<![\w@\#]) (?:@[A-Za-z_][\w.-]*\w | \#[A-Za-z_]\w+)
      | \.(?:doc|docx|xls|ppt|pdf|txt|com|net|org|edu|gov|exe|jpg|gif|html?)(?!\w) )
  | (?P<face> (?:(?<!\w) (?:{_EMOTICONS}|[xX]D) | (?<=[A-Za-z])[:;][-']?[()D]) (?![A-Za-z0-9]) | {_PICTURES} )
  | (?P<line> [|<>]?(?:[-=_*~+\#^.<>|]{{4,}})[|<>]? (?<![^.]\.) (?<!\.\.\.\.) | [-=]{{2,}}[>]+ | <[-=]+ | [-=]+>
      | (?P<same>[-=_*~+\#^\\|])(?P=same)+ | <<+ | >>+ | \$\$+ )
  | (?P<number>
      (?:\(\d{{3}}\)-?)? (?:\d{{1,2}}[-.])?\d{{3}}[-.]\d{{3}}[-.]\d{{4}}(?!\w) | \d{{3}}-\d{{4}}(?![\w-])
      | \d{{1,4}}[/]\d{{1,2}}[/]\d{{1,4}}(?![\w/]) | \d{{1,2}}-\d{{1,2}}-(?:\d{{4}}|\d\d)(?![\w-])
      | \d{{4}}-\d\d-\d\d(?![\w-])
      | (?!(?:[13]/[248]|2/3|1/3|1/5|1/10)(?!\d)) (?:0?[1-9]|1[0-2])/\d{{1,2}}(?![\w/])
      | (?<![\w-])\d-\d{{4}}(?![\w-]) | {_APOSTROPHE}\d\ds?(?!\w) | (?<![\w.])\+\d+(?!\w)
      | \d+(?!(?:AM|PM|K|M|B|GB|MB|KB|TB|MHZ|GHZ|HZ|KG|KM|CM|MPH|FT|LB|OZ)(?![A-Z]))[A-Z][A-Z0-9]*(?!\w)
      | \d+(?i:st|nd|rd|th)(?!\w) | \d+{_APOSTROPHE}?s(?!\w) | \d+(?i:d)(?!\w)
      | (?:\d+(?:[.,:]\d+)*|(?<![\w.])\.\d+) )
  | (?P<dotted> (?:{_LETTER}\.)+{_LETTER}(?!\w)\.? | (?i:ph\.d|ed\.d|b\.sc|m\.sc)\b\.? | (?:[A-Z]\.)(?=[A-Z][a-z]) )
  | (?P<word>
      (?<![\w-]) (?i:{_PREFIXES})-(?:{_LETTER}++|\d\d++s?+)(?:{_APOSTROPHE}{_LETTER}++)*+ (?![-]{_LETTER})
      | [A-Za-z]{{1,3}}&[A-Za-z]{{1,2}}(?!\w)(?:{_APOSTROPHE}\w+)?
      | {_LETTER}+\*+{_LETTER}+ | {_LETTER}{{1,2}}\*{{2,}}
      | (?i:w/out|w/o|[bli]/c)(?![\w/]) | (?:US?|AU?|CA?|HK|NZ)(?=\$)\$
      | [xX]\d?-?\d{{4,5}}(?!\w)
      | (?:{_LETTER}|\d(?<=\w\d)|[_{_MARKS}])(?:\w|[\u00ad{_MARKS}]|{_JOINERS})*(?:{_APOSTROPHE}(?:\w)+)* )
  | (?P<mark> [.!?]{{2,}} | '' | `` | [‘’]’ | . )
""", re.VERBOSE | re.DOTALL)
