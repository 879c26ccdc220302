"""What the page adds to the common style, and the little it does."""

STYLE = """
.chart .gain{fill:var(--accent);stroke:none}
.chart .loss{fill:var(--alert);stroke:none}
.chart .band{fill:var(--soft);stroke:none;opacity:.55}
.chart .mean-line{stroke:var(--ink);stroke-dasharray:5 4}
.swatch.gain{background:var(--accent)}
.swatch.loss{background:var(--alert)}
.swatch.band{background:var(--soft)}
.grid.wide{grid-template-columns:repeat(auto-fill,minmax(min(440px,100%),1fr))}
td.figure svg{width:240px;height:30px}
td.loss{color:var(--alert)}
.verdict{font-size:1.15rem}
.sortable button{all:unset;cursor:pointer}
.sortable button:focus-visible{outline:2px solid var(--accent)}
.sortable [aria-sort] button{color:var(--ink);font-weight:600}
.sortable [aria-sort=ascending] button::after{content:" \\2191"}
.sortable [aria-sort=descending] button::after{content:" \\2193"}
"""

# Rows are sorted by the number that a cell carries, else by its text; nothing else is touched.
SCRIPT = """
(() => {
  const text = new Intl.Collator('en', {numeric: true}).compare;
  const worth = td => 'value' in td.dataset ? +td.dataset.value : td.textContent;
  for (const button of document.querySelectorAll('.sortable thead button')) button.onclick = () => {
    const th = button.parentNode, body = th.closest('table').tBodies[0];
    const place = [...th.parentNode.children].indexOf(th);
    const down = th.getAttribute('aria-sort') === 'ascending';
    for (const other of th.parentNode.children) other.removeAttribute('aria-sort');
    th.setAttribute('aria-sort', down ? 'descending' : 'ascending');
    const rows = [...body.rows].map((tr, i) => [tr, worth(tr.cells[place]), i]);
    rows.sort(([, x, i], [, y, j]) => {
      const numbers = typeof x === 'number' && typeof y === 'number';
      const way = numbers ? x - y : text(String(x), String(y));
      return (down ? -way : way) || i - j;
    });
    body.replaceChildren(...rows.map(row => row[0]));
  };
})();
"""
