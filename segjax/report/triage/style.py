"""How the triage page's own parts look, and the little that they do."""

STYLE = """
button{font:inherit;font-size:.9rem;color:inherit;background:var(--paper);
  border:1px solid var(--muted);border-radius:4px;padding:4px 10px;cursor:pointer}
button:hover{background:var(--wash)}
.note{margin:14px 0;max-width:76ch}
.triage{border-top:1px solid var(--ink);margin-top:20px}
.triage details{margin:0;border-bottom:1px solid var(--line)}
.triage summary{display:grid;
  grid-template-columns:1.1em 3.6em 214px minmax(9em,1fr) minmax(0,1.2fr);
  gap:4px 14px;align-items:center;color:var(--ink);padding:5px 4px;list-style:none}
.triage summary::-webkit-details-marker{display:none}
.triage summary::before{content:"\\25B8";color:var(--muted)}
.triage [open]>summary::before{content:"\\25BE"}
.triage summary:hover,.triage [open]>summary{background:var(--wash)}
.triage .score{font-variant-numeric:tabular-nums lining-nums;font-weight:600;text-align:right}
.triage .case{overflow-wrap:anywhere;line-height:1.3}
.triage .marks{display:flex;flex-wrap:wrap;gap:4px 8px}
.mark{font-size:.8rem;line-height:1.3;color:var(--alert);border:1px solid currentColor;
  border-radius:3px;padding:1px 6px}
.more{display:flex;flex-wrap:wrap;gap:20px 36px;padding:14px 4px 28px calc(1.1em + 18px)}
.more figure{flex:0 1 auto}
.more figure+div,.more p+div{flex:1 1 300px;max-width:460px}
.more img{display:block;max-width:100%;height:auto;image-rendering:pixelated}
.more .facts{margin-top:18px;gap:8px 28px}
@media(max-width:800px){.triage summary{grid-template-columns:1.1em 3.6em 1fr}
  .triage summary .chart{grid-column:3}.triage .case,.triage .marks{grid-column:2/-1}}
@media print{.triage details{break-inside:avoid}}
"""

SCRIPT = """
(() => {
  const rows = [...document.querySelectorAll('.triage details')];
  const find = document.querySelector('#find'), flagged = document.querySelector('#flagged');
  const found = document.querySelector('#found'), open = document.querySelector('#open');
  if (!find) return;
  document.documentElement.classList.add('script');
  const draw = () => {
    const wanted = find.value.toLowerCase();
    let shown = 0;
    for (const row of rows) {
      row.hidden = !row.dataset.case.includes(wanted)
        || (flagged.checked && !('flagged' in row.dataset));
      shown += !row.hidden;
    }
    found.textContent = shown + ' of ' + rows.length + ' images';
  };
  const pictured = rows.filter(row => 'pictured' in row.dataset);
  open.hidden = !pictured.length;
  open.onclick = () => {
    const all = pictured.every(row => row.open);
    for (const row of pictured) row.open = !all;
    open.textContent = all ? 'Open all with a picture' : 'Close all';
  };
  find.oninput = flagged.onchange = draw;
  draw();
})();
"""
