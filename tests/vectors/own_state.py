"""What a person's devices agree on, as docs/protocol.md §6, "Own state", says."""

from primitives import read_cbor

# The items of each form, its number among them.
FORMS = {0: 3, 1: 4, 2: 3, 3: 4, 4: 3, 5: 3, 6: 3}


def about(form):
    """What a fact is about: two of one subject are one after the other."""
    kind, of = form[0], form[1]
    return (kind, of, form[2]) if kind == 3 else (kind, of)


def holds(one, place, other, at):
    """Whether the first of two facts about the same holds."""
    left, right = read_cbor(one), read_cbor(other)
    return left[2] > right[2] if left[0] == 0 else (place, one) > (at, other)


def check(vectors, encoded, equal):
    facts = [encoded("a fact", fact) for fact in vectors["facts"]]
    said = read_cbor(encoded("a record", vectors["content"]))
    forms = [read_cbor(fact) for fact in facts]
    for form in forms:
        equal("a form's length", len(form), FORMS[form[0]])
    places = [at - 1 if at % 2 else None for at in range(len(forms))]
    equal("all facts, and what asks", said, [*map(list, zip(forms, places)), [[7], None]])
    for case in vectors["against"]:
        one, other = case["one"], case["other"]
        equal("they are about the same", about(forms[one]), about(forms[other]))
        found = holds(facts[one], case["place"], facts[other], case["at"])
        equal("which holds", found, case["holds"])
