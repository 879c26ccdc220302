"""How the board's own parts look; everything else is as in the report."""

STYLE = """
:root{--second:#a84f00;--third:#0e7c66;--on:#ffffff}
@media(prefers-color-scheme:dark){:root:not([data-theme=light]){--second:#f0a04b;--third:#5fc9ae;
  --on:#14171b}}
:root[data-theme=dark]{--second:#f0a04b;--third:#5fc9ae;--on:#14171b}
h4{font-size:.95rem;margin:24px 0 2px}
section>h3,section h3{margin-top:44px}
.chooser+[data-measure] h2{margin-top:20px;border-top:0}
[data-measure][hidden]+[data-measure] h2{margin-top:20px;border-top:0}
.standings thead th{white-space:nowrap}
.verdicts{margin:36px 0 0}
.verdicts>div{display:grid;grid-template-columns:minmax(90px,230px) 1fr;gap:4px 24px;padding:12px 0;
  border-top:1px solid var(--line)}
.verdicts dt{overflow-wrap:anywhere}
.verdicts dd{margin:0;max-width:72ch;overflow-wrap:anywhere}
.verdicts dt{max-height:6.2em;overflow:hidden}
.controls label{max-width:100%}
.controls select{max-width:min(300px,72vw)}
.chooser{position:sticky;top:0;z-index:2;background:var(--paper);padding:10px 0;
  border-bottom:1px solid var(--line);margin:28px 0 0;max-width:none}
button{font:inherit;font-size:.9rem;color:inherit;background:var(--paper);
  border:1px solid var(--muted);border-radius:4px;padding:4px 10px;cursor:pointer}
button:hover{background:var(--wash)}
th button,th button:hover{all:unset;cursor:default;font:inherit;color:inherit}
.script th button{cursor:pointer}
th button:focus-visible{outline:2px solid var(--accent)}
[aria-sort] button{color:var(--ink)!important;font-weight:600!important}
[aria-sort=ascending] button::after{content:" \\2191"}
[aria-sort=descending] button::after{content:" \\2193"}
.standings td,.standings th{vertical-align:top;padding-top:9px;padding-bottom:9px}
.standings thead th{vertical-align:bottom}
.line{width:240px;height:30px;max-width:none;fill:none}
.standings td.figure{padding-top:4px;padding-bottom:0}
.standings tbody th{min-width:120px;max-width:240px;white-space:normal;overflow-wrap:anywhere;
  text-align:left;font-weight:400}
.standings td:first-child{text-align:right}
.standings th:first-child{text-align:right}
.standings small{font-size:.8rem;color:var(--muted)}
.standings td.tier{position:relative;text-align:right;padding-right:18px}
.standings thead th:nth-child(3){text-align:left}
.tiered .tier::after{content:"";position:absolute;right:5px;top:-1px;bottom:0;width:6px;
  border-right:2px solid var(--muted)}
.tiered.first .tier::after{top:10px;border-top:2px solid var(--muted)}
.tiered.last .tier::after{bottom:10px;border-bottom:2px solid var(--muted)}
.tiered.best .tier::after{border-color:var(--accent)}
.sorted .tier::after{display:none}
.excluded td,.excluded th,.excluded strong{color:var(--muted);font-weight:400}
.excluded .chart,.few .chart,.few p{opacity:.45}
.mark{display:inline-block;width:9px;height:9px;border-radius:50%;margin-right:7px;
  background:var(--own,var(--muted))}
.m1{--own:var(--accent)}.m2{--own:var(--second)}.m3{--own:var(--third)}.hl{--own:var(--ink)}
.ranks .empty{fill:var(--wash);stroke:none}
.ranks .cell{fill:var(--accent);stroke:none}
.ranks .share{fill:var(--ink);text-anchor:middle;pointer-events:none}
.ranks .shade{stroke:var(--accent)}
.ranks .dark{fill:var(--on)}
.chart.small.ranks .share{font-size:9px}
.chart.ranks,.chart.pairs,.chart.bump,.chart.coverage,.chart.gap{max-width:none}
.pairs .pair,.swatch.pair{stroke:none}
.pair.open{fill:var(--line);background:var(--line)}
.pair.first{fill:var(--accent);background:var(--accent)}
.pair.second{fill:var(--second);background:var(--second)}
.pairs .rules{stroke:var(--paper);stroke-width:1}
.chart text.on{text-anchor:middle;pointer-events:none;fill:var(--on)}
.chart text.on.open{fill:var(--ink)}
.pairs-table td:nth-child(2){text-align:left}
.pairs-table th:nth-child(2){text-align:left}
.pairs-table tbody th,.pairs-table td:nth-child(2){max-width:220px;white-space:normal;
  overflow-wrap:anywhere;text-align:left;font-weight:400}
.hint{min-height:1.4em;margin:.2em 0}
p.needs-script.hint{display:none}
.script p.needs-script.hint{display:block}
.bump .line{stroke:var(--own,var(--muted));stroke-width:1.5;opacity:.55}
.bump .knots{stroke:var(--own,var(--muted));stroke-width:7;stroke-linecap:round}
.bump .band{stroke:var(--own,var(--muted));stroke-width:5;opacity:.18;stroke-linecap:round}
.bump .m1 .line,.bump .m2 .line,.bump .m3 .line{stroke-width:2.5;opacity:1}
.bump .model:hover .line{stroke-width:4;opacity:1}
.gap .curve{stroke:var(--accent);stroke-width:2}
.gap .now{fill:var(--accent);stroke:var(--paper)}
.gap .observed{stroke:var(--ink);stroke-dasharray:4 4}
.coverage .nominal{stroke:var(--ink);stroke-width:1.5}
.coverage .found{stroke:var(--accent);stroke-width:2}
.coverage .found circle{fill:var(--accent);stroke:none}
.coverage .off{stroke:var(--alert)}.coverage .off circle{fill:var(--alert)}
.group .mean{stroke-width:1.5}.group .interval{stroke-width:3}
.groups{gap:24px;margin-top:10px}
.case-range{stroke:var(--line);stroke-width:2}
.case-dot{fill:var(--own,var(--muted));stroke:none;fill-opacity:.55}
.case-dot.m1,.case-dot.m2,.case-dot.m3,.case-dot.hl{fill-opacity:1}
.case-miss{stroke:var(--own,var(--muted));stroke-width:1.8}
.case-row:hover .case-range{stroke:var(--muted)}
.case-hit{fill:transparent;stroke:none}
#case-plot .chart{max-width:none}
.script details.needs-script,.script p.needs-script{display:block}
.script p.controls.needs-script{display:flex}
.narrow{width:auto;min-width:min(480px,100%)}
.sr{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
@media(max-width:600px){.verdicts>div{grid-template-columns:1fr}}
@media print{.chooser,.save,.hint{display:none!important}}
"""
