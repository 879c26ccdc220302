"""What the page does: choose a measure, sort tables, draw and filter cases, save and copy."""

# Text reaches the page by textContent alone, so that no name of a file can become markup.
SCRIPT = """
(() => {
  const data = JSON.parse(document.getElementById('board').textContent);
  const one = id => document.getElementById(id);
  const all = (what, within) => [...(within || document).querySelectorAll(what)];
  const missing = '\\u2013';
  let measure = 0;
  document.documentElement.classList.add('script');

  const places = new Map([...data.digits].map((digit, i) => [digit, i]));
  const unpack = ({low, step, width, text}) => {
    const values = [], none = places.size ** width - 1;
    for (let i = 0; i < text.length; i += width) {
      let code = 0;
      for (let k = 0; k < width; k++) code = places.size * code + places.get(text[i + k]);
      values.push(code === none ? null : low + step * code);
    }
    return values;
  };
  for (const m of data.measures) {
    m.scores = m.scores.map(row => Array.isArray(row) ? row : unpack(row));
    m.flagged = new Map(m.flags.map(([i, c, s]) => [i * data.cases.length + c, s]));
    const p = m.pairs;
    if (!p) continue;
    for (const key of ['difference', 'low', 'high', 'p', 'effect', 'superiority', 'needed'])
      p[key] = unpack(p[key]);
    p.models = p.models || m.order.flatMap((a, i) => m.order.slice(i + 1).map(b => [a, b]));
  }

  const format = (value, digits) => {
    if (value === null) return missing;
    value = +value.toPrecision(8);  // what was packed is not exact
    let n = digits;
    const whole = [-1, 0, 1];
    while (n < 6 && !whole.includes(value) && whole.includes(+value.toFixed(n))) n++;
    return value.toLocaleString('en', {minimumFractionDigits: n, maximumFractionDigits: n})
      .replace('-', '\\u2212');
  };
  const add = (parent, tag, text, kind) => {
    const made = parent.appendChild(document.createElement(tag));
    if (text !== undefined) made.textContent = text;
    if (kind) made.className = kind;
    return made;
  };
  const draw = (parent, tag, attributes, text) => {
    const made = parent.appendChild(document.createElementNS('http://www.w3.org/2000/svg', tag));
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    if (text !== undefined) made.textContent = text;
    return made;
  };

  // Sorting: numbers by the first in a cell, whatever surrounds it; what has none comes last.
  const worth = td => {
    const text = (td.querySelector('bdi') || td.firstChild || td).textContent.trim();
    const found = text.replace(/\\u2212/g, '-').replace(/,(?=\\d{3})/g, '')
      .match(/^(?:[<>] )?([+-]?\\d+(\\.\\d+)?)( |$)/);
    return text === missing || text === '' ? null : text.startsWith('> 10') ? Infinity
      : found && td.tagName === 'TD' ? +found[1] : text;
  };
  const compare = new Intl.Collator('en', {numeric: true}).compare;
  const sort = button => {
    const th = button.parentNode, table = th.closest('table'), body = table.tBodies[0];
    const place = [...th.parentNode.children].indexOf(th);
    const down = th.getAttribute('aria-sort') === 'ascending';
    for (const other of th.parentNode.children) other.removeAttribute('aria-sort');
    th.setAttribute('aria-sort', down ? 'descending' : 'ascending');
    table.classList.toggle('sorted', place !== 0 || down);
    const rows = [...body.rows].map((tr, i) => [tr, worth(tr.cells[place]), i]);
    rows.sort(([, x, i], [, y, j]) => {
      if (x === null || y === null) return x === y ? i - j : x === null ? 1 : -1;
      const way = typeof x === 'number' && typeof y === 'number' ? (x > y) - (x < y)
        : compare(String(x), String(y));
      return (down ? -way : way) || i - j;
    });
    body.replaceChildren(...rows.map(row => row[0]));
  };
  for (const button of all('.sortable thead button')) button.onclick = () => sort(button);

  // Pairs of many models.
  const words = (m, k) => {
    const p = m.pairs, [a, b] = p.models[k].map(i => data.models[i]);
    return `${a} minus ${b}: ${format(p.difference[k], m.digits + 1)} ` +
      `(${format(p.low[k], m.digits + 1)} to ${format(p.high[k], m.digits + 1)}), adjusted p ` +
      `${p.p[k] < 0.001 ? '< 0.001' : format(p.p[k], 3)}: ` +
      (p.kind[k] === 'o' ? 'not separable'
        : `separable, ${p.kind[k] === 's' ? b : a} is better`);
  };
  for (const details of all('[data-pairs]')) details.ontoggle = () => {
    const body = details.querySelector('tbody'), m = data.measures[details.dataset.pairs];
    if (body.rows.length) return;
    const p = m.pairs, d = m.digits + 1;
    for (let k = 0; k < p.models.length; k++) {
      const [a, b] = p.models[k].map(i => data.models[i]);
      const tr = add(body, 'tr');
      add(add(tr, 'th'), 'bdi', a);
      add(add(tr, 'td'), 'bdi', b);
      add(tr, 'td', (p.difference[k] > 0 ? '+' : '') + format(p.difference[k], d));
      add(tr, 'td', p.low[k] === null ? 'none'
        : `${format(p.low[k], d)} to ${format(p.high[k], d)}`);
      add(tr, 'td', p.p[k] !== null && p.p[k] < 0.001 ? '< 0.001' : format(p.p[k], 3));
      add(tr, 'td', p.kind[k] === 'o' ? 'open'
        : p.kind[k] === 's' ? b : a);
      add(tr, 'td', format(p.effect[k], 2));
      add(tr, 'td', p.superiority[k] === null ? missing
        : `${format(100 * p.superiority[k], 1)} %`);
      add(tr, 'td', p.needed[k] === null ? '> 10\\u2076 or never'
        : format(+(10 ** p.needed[k]).toPrecision(3), 0));
    }
  };
  for (const box of all('[data-hover]')) {
    const svg = box.querySelector('svg[data-cell]'), hint = box.nextElementSibling;
    const m = data.measures[box.closest('[data-measure]').dataset.measure];
    if (!svg || !m.pairs) continue;
    const at = new Map(m.pairs.models.map(([a, b], k) => [a * data.models.length + b, k]));
    svg.onpointermove = event => {
      const seen = svg.getBoundingClientRect(), size = +svg.dataset.cell;
      const scale = svg.viewBox.baseVal.width / seen.width;
      const column = Math.floor((event.clientX - seen.left) * scale / size);
      const row = Math.floor((event.clientY - seen.top) * scale / size);
      const k = at.get(m.order[column] * data.models.length + m.order[row]);
      hint.textContent = k === undefined ? '' : words(m, k);
    };
  }

  // Cases.
  const plot = one('case-plot'), find = one('find'), most = one('most'), marked = one('marked');
  const filter = one('filter'), found = one('found'), means = one('case-means');
  const rounded = (low, high) => {
    if (!(high > low)) {
      const around = 0.1 * Math.abs(low) || 0.5;
      [low, high] = [low - around, high + around];
    }
    const rough = (high - low) / 6, power = 10 ** Math.floor(Math.log10(rough));
    const step = power * [1, 2, 5, 10].find(k => power * k >= rough * (1 - 1e-9));
    return [Math.floor(low / step + 1e-6) * step, Math.ceil(high / step - 1e-6) * step, step];
  };
  const score = (m, i, c) => {
    const row = m.scores[i], value = row && row[c] !== undefined ? row[c] : null;
    return [value, m.flagged.get(i * data.cases.length + c) || 0];
  };
  const badness = (m, c) => {
    let total = 0, count = 0;
    for (const i of m.order) {
      const [value, status] = score(m, i, c);
      if (value === null && status !== 2) continue;
      total += value === null ? Infinity : m.higher ? -value : value;
      count++;
    }
    return count ? total / count : -Infinity;
  };
  const chosen = m => {
    const [column, value] = filter && filter.value ? filter.value.split(',').map(Number) : [];
    const wanted = find.value.toLowerCase();
    return data.cases.map((_, c) => c)
      .filter(c => column === undefined || data.columns[column].of[c] === value)
      .filter(c => data.cases[c].toLowerCase().includes(wanted))
      .map(c => [c, badness(m, c)])
      .sort(([a, x], [b, y]) => x === y ? a - b : x > y ? -1 : 1).map(pair => pair[0]);
  };
  const cut = (text, room) => {
    const letters = Array.from(text), fits = Math.floor(room / 6.8);
    return letters.length <= fits ? text : letters.slice(0, fits - 1).join('') + '\\u2026';
  };
  const kind = i =>
    marked.value === String(i) ? 'hl' : data.colours[i] ? 'm' + data.colours[i] : '';
  const legend = m => {
    const list = one('case-legend');
    list.replaceChildren();
    const named = m.order.filter(kind);
    for (const i of named) {
      const item = add(list, 'li');
      add(item, 'span', '', 'mark ' + kind(i));
      add(item, 'bdi', data.models[i]);
    }
    if (named.length < m.order.length) {
      const item = add(list, 'li');
      add(item, 'span', '', 'mark');
      add(item, 'span', named.length ? 'other models' : 'models');
    }
  };
  const drawRow = (svg, m, c, y, x, left, width) => {
    const g = draw(svg, 'g', {class: 'case-row'});
    const said = [], seen = [];
    for (const i of m.order) {
      const [value, status] = score(m, i, c);
      said.push(`${data.models[i]}: ` + (value === null ? data.status[status] || missing
        : format(value, m.digits) + (status === 2 ? ' (missed)' : '')));
      if (value !== null || status === 2) seen.push([i, value, status]);
    }
    const more = said.length > 12 ? `\\n and ${said.length - 12} more` : '';
    draw(g, 'title', {}, [data.cases[c], ...said.slice(0, 12)].join('\\n') + more);
    draw(g, 'rect', {class: 'case-hit', x: 0, y: y - 9, width, height: 18});
    draw(g, 'text', {class: 'name', x: left - 14, y: y + 4, 'text-anchor': 'end'},
      cut(data.cases[c], left - 20));
    const places = seen.map(([, value]) => x(value));
    if (places.length) draw(g, 'path', {class: 'case-range',
      d: `M${Math.min(...places)},${y}H${Math.max(...places)}`});
    const above = seen.slice().sort(([i], [j]) => (kind(i) !== '') - (kind(j) !== ''));
    for (const [i, value, status] of above) {
      const at = x(value), own = kind(i);
      if (value === null || status === 2) draw(g, 'path',
        {class: 'case-miss ' + own, d: `M${at - 4},${y - 4}l8,8m0,-8l-8,8`});
      else draw(g, 'circle', {class: 'case-dot ' + own, cx: at, cy: y, r: own ? 4.5 : 3.5});
    }
  };
  const drawCases = () => {
    if (!plot) return;
    const m = data.measures[measure], cases = chosen(m), shown = cases.slice(0, +most.value);
    const values = [];
    for (const c of shown) for (const i of m.order) {
      const value = score(m, i, c)[0];
      if (value !== null) values.push(value);
    }
    const [low, high, step] = values.length
      ? rounded(values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b)))
      : [0, 1, 0.2];
    const width = Math.max(340, Math.min(1080, plot.clientWidth || 1080));
    const longest = shown.reduce((most, c) => Math.max(most, [...data.cases[c]].length), 0);
    const left = Math.min(7 * longest + 26, 250, width * 0.32), right = width - 24;
    const worst = m.higher ? left : right;
    const x = v => v === null ? worst : Math.round(10 * (left + (v - low) / (high - low)
      * (right - left))) / 10;
    const height = 18 * shown.length + 60;
    plot.replaceChildren();
    const svg = draw(plot, 'svg', {class: 'chart', role: 'img', width, height,
      viewBox: `0 0 ${width} ${height}`, fill: 'none', stroke: 'currentColor'});
    draw(svg, 'title', {}, `Scores of the cases by ${m.name}`);
    const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    for (let k = Math.round(low / step); k <= Math.round(high / step); k++) {
      const v = k * step;
      draw(svg, 'path', {class: 'grid', d: `M${x(v)},22V${height - 34}`});
      for (const y of [14, height - 18])
        draw(svg, 'text', {x: x(v), y, 'text-anchor': 'middle'},
          v.toFixed(digits).replace('-', '\\u2212'));
    }
    const unit = m.unit ? `, ${m.unit}` : '';
    draw(svg, 'text', {class: 'name', x: (left + right) / 2, y: height - 2,
      'text-anchor': 'middle'}, m.name + unit);
    shown.forEach((c, k) => drawRow(svg, m, c, 34 + 18 * k, x, left, width));
    const match = cases.length < data.cases.length ? ` (${format(cases.length, 0)} match)` : '';
    found.textContent =
      `${format(shown.length, 0)} of ${format(data.cases.length, 0)} cases shown${match}.`;
    legend(m);
    const body = means.querySelector('tbody'), rows = m.order.map(i => {
      const own = shown.map(c => score(m, i, c));
      const known = own.filter(([value]) => value !== null).map(([value]) => value);
      const mean = known.length ? known.reduce((a, b) => a + b, 0) / known.length : null;
      return [i, mean, known.length, own.filter(([, status]) => status === 2).length];
    });
    rows.sort(([, a], [, b]) => a === null ? 1 : b === null ? -1 : m.higher ? b - a : a - b);
    body.replaceChildren(...rows.map(([i, mean, count, misses]) => {
      const tr = document.createElement('tr');
      add(add(tr, 'th'), 'bdi', data.models[i]);
      add(tr, 'td', format(mean, m.digits));
      add(tr, 'td', String(count));
      add(tr, 'td', String(misses));
      return tr;
    }));
    for (const th of all('th', means)) th.removeAttribute('aria-sort');
  };
  if (plot) {
    data.models.forEach((name, i) => add(marked, 'option', name).value = i);
    find.oninput = most.onchange = marked.onchange = drawCases;
    if (filter) filter.onchange = drawCases;
    let before = 0;
    new ResizeObserver(() => {
      if (plot.clientWidth !== before) { before = plot.clientWidth; drawCases(); }
    }).observe(plot);
  }

  const choose = value => {
    measure = +value;
    for (const choice of all('.measure-choice')) choice.value = value;
    for (const part of all('[data-measure]')) part.hidden = +part.dataset.measure !== measure;
    drawCases();
  };
  for (const choice of all('.measure-choice')) choice.onchange = () => choose(choice.value);

  // Saving and copying.
  const save = (name, text) => {
    const link = document.createElement('a');
    link.href = URL.createObjectURL(new Blob([text], {type: 'text/csv'}));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
  const cell = text => {
    const formula = /^[=+\\-@\\t\\r\\n\\uff1d\\uff0b\\uff0d\\uff20]/.test(text)
      && !/^[+-]?(\\d+\\.?\\d*|\\.\\d+)([eE][+-]?\\d+)?$/.test(text);
    const plain = formula ? `'${text}` : text;
    return /[",\\r\\n]/.test(plain) ? `"${plain.replace(/"/g, '""')}"` : plain;
  };
  const scores = () => {
    const lines = ['measure,model,case,score,status'];
    const one = (m, i, c) => {
      const [value, status] = score(m, i, c);
      lines.push([cell(m.name), cell(data.models[i]), cell(data.cases[c]),
        value === null ? '' : +value.toPrecision(5), data.status[status] || 'scored'].join(','));
    };
    for (const m of data.measures)
      data.models.forEach((_, i) => data.cases.forEach((_, c) => one(m, i, c)));
    return lines.join('\\n') + '\\n';
  };
  const files = {
    board: () => ['leaderboard.csv', data.csv],
    scores: () => ['scores.csv', scores()],
  };
  for (const button of all('[data-save]'))
    button.onclick = () => save(...files[button.dataset.save]());
  const copy = text => {
    const area = add(document.body, 'textarea', text);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    return done;
  };
  for (const button of all('[data-copy]')) button.onclick = () => {
    const text = data.measures[button.dataset.of][button.dataset.copy];
    const said = button.parentNode.querySelector('[role=status]');
    said.textContent = copy(text) ? 'Copied.' : 'This browser does not allow copying.';
  };
  if (data.measures.length) choose('0');
})();
"""
