"""The card: a README beside the weights that says what the model is and how far to trust it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jinja2 import Template

_CARD = Template(
    """# {{ title }}

{{ verdict }}

| | |
|---|---|
| task | {{ task }} |
| target | `{{ spec.name }}`{% if classes %}: {{ classes | length }} {{ kind }}{% endif %} |
| source | {{ source or "none: trained from scratch" }} |
| licence of the source | {{ licence or "-" }} |
| recipe | {{ recipe }}{% if cut not in ("end", "none") %}, trained from `{{ cut }}` on{% endif %} |
| rows | {{ rows }} usable, {{ quarantined }} set aside |
| validation {{ metric }} | {{ validation }} |
| test {{ metric }} | {{ test or "not read" }} |
| fingerprint of the data | `{{ fingerprint[:16] }}` |
| headstart | {{ version }}, seed {{ seed }} |

{% if refitted -%}
The weights here were fitted again, by the same recipe, on all {{ rows }} rows. The scores are those
of the model that was evaluated, which had not seen the test rows.
{%- else -%}
The weights here are those that were evaluated.
{%- endif %}

Intervals are at the 95% level.
{% if classes %}
{{ kind | capitalize }}: {% for c in classes %}`{{ c }}`{{ ", " if not loop.last }}{% endfor %}
{% endif %}
## Use

```
headstart predict . INPUT...
```
```python
import headstart as hs
model = hs.load(".")
model.predict([…])
```
"""
)


def card(facts: Mapping[str, Any]) -> str:
    """Return the card's text from the facts of a run."""
    kind = "labels" if str(facts["task"]).endswith("-multilabel") else "classes"
    return _CARD.render(facts, kind=kind, classes=facts["spec"].get("classes"))
