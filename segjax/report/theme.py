"""How the page looks, and the little it does: colours, style sheet, script."""

from collections.abc import Mapping


# What agrees and what does not, and the kinds of objects, stay apart for every kind of colour
# blindness (tested by simulation), on black and over greys.
OVERLAY = {
    "background": (20, 23, 27),
    "agreement": (143, 214, 196),
    "missed": (242, 142, 28),
    "extra": (47, 127, 224),
    "merged": (221, 51, 68),
    "split": (153, 85, 136),
    "ignored": (70, 74, 82),
    "outline": (255, 255, 255),
}

# Of pictures of surfaces, whose lines are read by their colour and not by what they enclose.
SURFACE = {
    "background": OVERLAY["background"],
    "inside": (38, 43, 50),
    "casing": (8, 9, 11),
    "outline": (255, 255, 255),
    "ignored": (120, 125, 133),
    "alone": (94, 214, 235),
}
# From near to far: plasma (S. van der Walt and N. Smith, CC0) without its darkest colours, which
# would be lost on black. Even steps look even, to every kind of colour blindness.
_SCALE = (
    (126, 3, 168),
    (153, 21, 159),
    (177, 42, 144),
    (197, 64, 126),
    (214, 85, 109),
    (230, 108, 92),
    (242, 132, 75),
    (250, 158, 59),
    (254, 186, 44),
    (250, 216, 36),
    (240, 249, 33),
)

LIGHT = {
    "paper": "#ffffff",
    "ink": "#1c2126",
    "muted": "#5c6670",
    "line": "#dde1e5",
    "wash": "#f5f6f8",
    "accent": "#0b5c9e",
    "soft": "#b9d2e8",
    "alert": "#a84f00",
}
DARK = {
    "paper": "#14171b",
    "ink": "#e4e7ea",
    "muted": "#9aa4ae",
    "line": "#2e343b",
    "wash": "#1c2025",
    "accent": "#7db7ec",
    "soft": "#2f4d69",
    "alert": "#f0a04b",
}


def css() -> str:
    """The style sheet; dark where the reader's system is, or the root says so."""
    return (
        f":root{{color-scheme:light dark;{_variables(LIGHT)}}}"
        f"@media(prefers-color-scheme:dark){{:root:not([data-theme=light]){{{_variables(DARK)}}}}}"
        f":root[data-theme=dark]{{color-scheme:dark;{_variables(DARK)}}}"
        f":root[data-theme=light]{{color-scheme:light}}"
        + "".join(f".swatch.{name}{{background:rgb{rgb}}}" for name, rgb in OVERLAY.items())
        + f":root{{{_variables(_LINES)}}}"
        + _CSS
    )


def shade(share: float) -> tuple[int, int, int]:
    """Colour of a distance, by its share of the greatest that has its own colour.

    Example:
        >>> shade(0.0), shade(0.55), shade(1.0)
        ((126, 3, 168), (236, 120, 84), (240, 249, 33))
    """
    place = share * (len(_SCALE) - 1)
    below = min(int(place), len(_SCALE) - 2)
    pair = zip(_SCALE[below], _SCALE[below + 1], strict=True)
    r, g, b = (round(a + (place - below) * (z - a)) for a, z in pair)
    return r, g, b


_LINES = {name: f"rgb{rgb}" for name, rgb in SURFACE.items()} | {
    "near": f"rgb{shade(0.0)}",
    "middle": f"rgb{shade(0.5)}",
    "far": f"rgb{shade(1.0)}",
}


def _variables(colours: Mapping[str, str]) -> str:
    return "".join(f"--{name}:{value};" for name, value in colours.items())


_CSS = """
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);
  font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{max-width:1144px;margin:0 auto;padding:56px 32px 80px}
h1,h2,h3{font-family:Charter,"Bitstream Charter","Sitka Text",Cambria,Georgia,serif;
  font-weight:600;line-height:1.2;overflow-wrap:anywhere}
h1{font-size:2.1rem;margin:.1em 0 .5em}
h2{font-size:1.4rem;margin:72px 0 12px;padding-top:20px;border-top:1px solid var(--line)}
h3{font-size:1.02rem;margin:0 0 4px}
h3 code{font-weight:400;font-size:.8em}
p{max-width:68ch;margin:.6em 0}
a{color:var(--accent)}
code,pre{font:.88em/1.5 ui-monospace,"SF Mono",Menlo,Consolas,monospace;overflow-wrap:anywhere}
pre{background:var(--wash);padding:12px 16px;white-space:pre-wrap}
.muted,.eyebrow,figcaption,dt{color:var(--muted)}
.small,figcaption{font-size:.875rem}
.eyebrow{font-size:.8rem;letter-spacing:.06em;text-transform:uppercase;margin:0}
.note{border-left:3px solid var(--alert);padding:2px 0 2px 14px}
.scroll{overflow-x:auto}
.facts{display:flex;flex-wrap:wrap;gap:8px 40px;margin:0}
.facts dt{font-size:.8rem}
.facts dd{margin:0;overflow-wrap:anywhere}
.lead{margin:44px 0 0;display:flex;flex-wrap:wrap;align-items:baseline;gap:4px 22px}
.lead strong{font:600 3.6rem/1 Charter,"Bitstream Charter",Cambria,Georgia,serif;
  font-variant-numeric:lining-nums tabular-nums}
table{border-collapse:collapse;width:100%;font-size:.9rem;
  font-variant-numeric:tabular-nums lining-nums}
th,td{padding:7px 12px 7px 0;text-align:right;vertical-align:middle;white-space:nowrap}
thead th{color:var(--muted);font-weight:500;font-size:.8rem;line-height:1.3;white-space:normal;
  vertical-align:bottom;
  border-bottom:1px solid var(--ink)}
tbody th{font-weight:400;overflow-wrap:anywhere;white-space:normal;min-width:11em;line-height:1.35}
tbody th .small{font-size:.8rem;font-weight:400}
th:first-child,td:first-child{text-align:left}
tbody td,tbody th{border-bottom:1px solid var(--line)}
tbody tr.group th{padding-top:20px;font-weight:600}
tbody tr.mean th,tbody tr.mean td{font-weight:600}
td.figure{padding:0 12px 0 0}
td.figure,th.figure{text-align:left}
.zero{color:var(--muted)}
.flag{color:var(--alert);font-size:.82rem;cursor:help}
.flag.undefined{color:var(--muted)}
.grid{display:grid;
  grid-template-columns:repeat(auto-fill,minmax(min(320px,100%),1fr));gap:32px 24px;
  margin-top:20px}
figure{margin:0;min-width:0}
figure>p{margin:0}
[hidden]{display:none!important}
.needs-script{display:none}
.script .needs-script{display:flex}
.controls{flex-wrap:wrap;gap:10px 24px;align-items:center;margin:18px 0}
select,input{font:inherit;font-size:.9rem;color:inherit;background:var(--paper);
  border:1px solid var(--muted);border-radius:4px;padding:4px 8px;max-width:100%}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
.chart{display:block;max-width:100%;height:auto;overflow:visible;color:var(--muted)}
.forest{max-width:none}
.scatter{min-width:540px}
.chart text{font:11px system-ui,-apple-system,"Segoe UI",Roboto,Arial,sans-serif;fill:var(--muted);
  stroke:none;font-variant-numeric:tabular-nums}
.chart .name{font-size:12px;fill:var(--ink)}
.chart .axis,.chart .tick{stroke:var(--muted);stroke-width:1}
.forest .axis{stroke:var(--line)}
.chart .grid{stroke:var(--line)}
.chart .bar{fill:var(--soft);stroke:none}
.chart .spread{stroke:var(--accent);stroke-width:1.5;opacity:.55}
.chart .interval{stroke:var(--accent);stroke-width:5}
.chart .mean{fill:var(--paper);stroke:var(--accent);stroke-width:2}
.chart .whisker{stroke:var(--ink)}
.chart .box{stroke:var(--ink);fill:var(--paper)}
.chart .median{stroke:var(--accent);stroke-width:3}
.chart .dots{stroke:var(--accent);stroke-width:4;stroke-linecap:round;opacity:.7}
.chart .crowd{stroke-width:3;opacity:.4}
.chart .dot{stroke:var(--accent);stroke-width:1.5;fill:var(--accent);fill-opacity:.2}
.chart .dot:hover{fill-opacity:1}
.chart .cross{stroke:var(--alert);stroke-width:2}
.samples{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(260px,100%),1fr));gap:28px;
  margin:20px 0 28px}
.samples img{display:block;max-width:100%;height:auto;image-rendering:pixelated}
.samples .none{border:1px dashed var(--line);width:240px;max-width:100%;height:160px;
  display:grid;place-items:center}
.legend{display:flex;flex-wrap:wrap;gap:4px 20px;list-style:none;padding:0;margin:12px 0}
.swatch{display:inline-block;width:14px;height:14px;margin-right:7px;vertical-align:-2px}
.swatch.outline{background:var(--paper);border:2px solid var(--muted)}
.swatch.line{width:30px;vertical-align:-3px;
  background:no-repeat center/100% 4px linear-gradient(90deg,var(--near),var(--middle),var(--far)),
  var(--background)}
.swatch.line.reference{border-top:4px solid var(--background);border-bottom:4px solid
  var(--background);background:linear-gradient(var(--outline) 2px,transparent 2px),
  linear-gradient(90deg,var(--near),var(--middle),var(--far))}
.swatch.line.farthest{background:radial-gradient(circle closest-side,transparent 55%,
  var(--outline) 60% 85%,transparent 90%),var(--background)}
.swatch.line.facing{background:0 0/5px 5px radial-gradient(var(--middle) 1.2px,transparent 1.6px),
  var(--background)}
.swatch.line.alone{background:no-repeat center/100% 4px linear-gradient(var(--alone),var(--alone)),
  var(--background)}
.swatch.line.ignored{background:no-repeat center/100% 4px
  linear-gradient(var(--ignored),var(--ignored)),var(--background)}
.objects td:last-child,.objects th:last-child{text-align:left;white-space:normal;
  padding-left:12px}
.scroll+h3{margin-top:36px}
.surfaces{grid-template-columns:repeat(auto-fill,minmax(min(320px,100%),1fr))}
.legend+.surfaces{margin-top:20px}
.cases thead th{position:sticky;top:0;background:var(--paper)}
.cases button{all:unset;cursor:pointer;font:inherit;color:inherit}
.cases button:focus-visible{outline:2px solid var(--accent)}
.cases [aria-sort] button{color:var(--ink);font-weight:600}
.cases [aria-sort=ascending] button::after{content:" \\2191"}
.cases [aria-sort=descending] button::after{content:" \\2193"}
.cases img{display:block;height:44px;width:auto;max-width:88px;object-fit:contain;cursor:zoom-in;
  image-rendering:pixelated}
.cases img.large{height:auto;max-width:240px;cursor:zoom-out}
.glossary dt{color:var(--ink);font-weight:600;margin-top:24px}
.glossary dd{margin:2px 0;max-width:72ch}
details{margin:14px 0}
summary{cursor:pointer;color:var(--accent)}
.files td,.files th{font-size:.8rem;text-align:left;white-space:normal}
footer{margin-top:72px}
@media(max-width:600px){main{padding:28px 16px 56px}h1{font-size:1.6rem}
  .lead strong{font-size:2.8rem}  h2{margin-top:52px}}
@media print{body{font-size:10pt}main{max-width:none;padding:0}.controls{display:none!important}
  h2{break-after:avoid}figure,tr{break-inside:avoid}.scroll{overflow:visible}
  .cases thead th{position:static}*{print-color-adjust:exact}}
"""

# Text reaches the page by textContent alone, so that no name of a file can become markup.
SCRIPT = """
(() => {
  const data = JSON.parse(document.getElementById('scores').textContent);
  const body = document.querySelector('.cases tbody');
  const find = document.querySelector('#find'), found = document.querySelector('#found');
  const choices = [...document.querySelectorAll('.label-choice')];
  let label = data.views[0], key = data.main, down = false;
  document.documentElement.classList.add('script');

  const column = name => data.scores[name + '|' + label] || data.scores[name + '|'];
  const cell = (i, name) => name === 'size' ? data.sizes[label][i] : column(name)[i];
  const badness = (value, way) =>
    value === 'm' ? Infinity : way === 0 ? Math.abs(value) : way === 1 ? -value : +value;
  const infinite = {inf: Infinity, '-inf': -Infinity};
  const format = (value, digits) => {
    if (typeof value === 'string') return value === 'inf' ? '\\u221e' : '\\u2212\\u221e';
    let n = digits;
    const whole = [-1, 0, 1];
    while (n < 6 && !whole.includes(value) && whole.includes(+value.toFixed(n))) n++;
    return value.toLocaleString('en', {minimumFractionDigits: n, maximumFractionDigits: n})
      .replace('-', '\\u2212');
  };
  const add = (parent, tag, text) => {
    const made = parent.appendChild(document.createElement(tag));
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const fill = (td, value, digits) => {
    if (value !== 'u' && value !== 'm') return void (td.textContent = format(value, digits));
    const [word, why] = data.words[value], flag = add(td, 'span', word);
    flag.className = 'flag ' + (value === 'u' ? 'undefined' : 'missed');
    flag.title = why;
  };
  const order = () => {
    const all = data.cases.map((_, i) => i);
    if (key === null) return all;
    if (key === 'case') {
      const by = new Intl.Collator('en', {numeric: true}).compare;
      all.sort((a, b) => by(data.cases[a], data.cases[b]));
      return down ? all.reverse() : all;
    }
    const way = key === 'size' ? null : data.metrics.find(m => m.name === key).way;
    const worth = i => {
      const v = cell(i, key);
      return v === 'u' ? null : badness(v in infinite ? infinite[v] : v, way);
    };
    return all.map(i => [i, worth(i)]).sort(([a, x], [b, y]) =>
      x === y ? a - b : x === null ? 1 : y === null ? -1 : (down ? x < y : x > y) ? -1 : 1
    ).map(pair => pair[0]);
  };
  const draw = () => {
    const wanted = find.value.toLowerCase();
    const rows = order().filter(i => data.cases[i].toLowerCase().includes(wanted));
    body.replaceChildren(...rows.map(i => {
      const tr = document.createElement('tr');
      add(tr, 'th', data.cases[i]).scope = 'row';
      if (data.pictured) {
        const td = add(tr, 'td'), uri = data.pictures[i];
        if (uri) {
          const img = add(td, 'img');
          img.src = uri;
          img.alt = 'overlay of ' + data.cases[i];
          img.onclick = () => img.classList.toggle('large');
        }
      }
      for (const m of data.metrics) fill(add(tr, 'td'), cell(i, m.name), m.digits);
      fill(add(tr, 'td'), cell(i, 'size'), 0);
      return tr;
    }));
    found.textContent = rows.length + ' of ' + data.cases.length + ' cases';
    for (const button of document.querySelectorAll('.cases button')) {
      const th = button.parentNode, own = button.dataset.key === key;
      const way = (data.metrics.find(m => m.name === key) || {}).way;
      const rising = key === 'case' ? !down : way === 1 ? !down : down;
      own ? th.setAttribute('aria-sort', rising ? 'ascending' : 'descending')
        : th.removeAttribute('aria-sort');
    }
  };
  const choose = value => {
    label = value;
    for (const choice of choices) choice.value = value;
    for (const part of document.querySelectorAll('[data-label]'))
      part.hidden = part.dataset.label !== value;
    draw();
  };
  for (const choice of choices) choice.onchange = () => choose(choice.value);
  for (const button of document.querySelectorAll('.cases button')) button.onclick = () => {
    down = button.dataset.key === key && !down;
    key = button.dataset.key;
    draw();
  };
  find.oninput = draw;
  choose(label);
})();
"""
