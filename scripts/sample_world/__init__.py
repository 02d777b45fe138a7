"""A small invented world whose documents are the sample corpus.

Pseudo-English words with English morphology and English function words, put together by a grammar that knows the
tree of every sentence it makes. So the annotation is exact, while the text is ambiguous enough that tags need context:
nouns that are verbs, participles that are past forms, `that`, `to`, `her`, subject and verb that must agree.

    draws.py      chance, counted from a seed
    words.py      one node of a tree
    closed.py     the function words of English
    lexicon.py    the invented words, their forms and how often each is used
    nominals.py   noun phrases
    clauses.py    verbs, their arguments and adjuncts
    sentences.py  whole sentences of each genre
    documents.py  documents: a topic, a genre and a cast that come back from sentence to sentence
    conllu.py     writing them down

Standard library only.
"""
