import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "langchain.md"


def test_the_page_runs_from_top_to_bottom(capsys):
    names = {}
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    assert "Lisse" in capsys.readouterr().out
    assert "Lisse" in " ".join(document.page_content for document in names["kept"])
