"""How a report looks: on wide and narrow screens, in light and dark, and on paper."""

STYLE = """
:root {
  color-scheme: light dark;
  --page: #ffffff; --raised: #f5f6f8; --ink: #1a212b; --quiet: #566070; --rule: #e2e6eb; --base: #aab3bf;
  --blue: #1b66c9; --green: #157347; --balancer: #7646b8; --other: #566070;
  --good: #126b3e; --good-tint: #e2f3e9; --warning: #855200; --warning-tint: #fdefd0;
  --bad: #b3232c; --bad-tint: #fce4e4; --bar: #e3e8ef;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --page: #12161c; --raised: #1a2029; --ink: #e7ebf0; --quiet: #a0abba; --rule: #2a323d; --base: #566274;
    --blue: #6fadff; --green: #4fce8c; --balancer: #bd9ff5; --other: #a0abba;
    --good: #6ad69b; --good-tint: #143524; --warning: #f0bf62; --warning-tint: #3b2d10;
    --bad: #ff8d8a; --bad-tint: #471d20; --bar: #2c3643;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0; background: var(--page); color: var(--ink); overflow-wrap: anywhere;
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
main { max-width: 1088px; margin: 0 auto; padding: 48px 24px 80px; }
h1, h2, p, ul, ol, dl, dd { margin: 0; padding: 0; }
ul, ol { list-style: none; }
h1 { font-size: 30px; line-height: 1.2; font-weight: 650; letter-spacing: -0.01em; }
h2 { font-size: 19px; line-height: 1.3; font-weight: 650; margin-bottom: 16px; }
section { margin-top: 56px; }
h2 .aside { font-size: 14px; font-weight: 400; color: var(--quiet); }
strong { font-weight: 600; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }

.place { margin-top: 4px; color: var(--quiet); }
.outcome { margin-top: 20px; }
.headline { margin-top: 12px; font-size: 19px; line-height: 1.45; max-width: 44em; }
.period { margin-top: 6px; color: var(--quiet); font-variant-numeric: tabular-nums; }
.duration { white-space: nowrap; }
.duration::before { content: "· "; }
.badge {
  display: inline-block; padding: 2px 12px; border-radius: 14px; font-weight: 600;
  background: var(--raised); border: 1px solid transparent;
}
.badge.good { color: var(--good); background: var(--good-tint); }
.badge.warning { color: var(--warning); background: var(--warning-tint); }
.badge.bad { color: var(--bad); background: var(--bad-tint); }
.sign {
  width: 1em; height: 1em; margin-right: 0.4em; vertical-align: -0.12em;
  fill: none; stroke: currentColor; stroke-width: 2.2; stroke-linecap: round; stroke-linejoin: round;
}
.sign.good { color: var(--good); }
.sign.warning { color: var(--warning); }
.sign.bad { color: var(--bad); }

.facts {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(240px, 1fr)); gap: 18px 32px;
  margin-top: 32px; padding-top: 24px; border-top: 1px solid var(--rule);
}
.facts .long { grid-column: 1 / -1; }
dt { font-size: 13px; color: var(--quiet); }

.legend { display: flex; flex-wrap: wrap; gap: 4px 28px; margin-bottom: 16px; font-size: 14px; color: var(--quiet); }
.legend strong { color: var(--ink); }
.legend svg { margin-right: 8px; vertical-align: -1px; }
.plot { display: none; }
.plot > svg { display: block; width: 100%; height: auto; overflow: visible; }
.plot text { fill: var(--ink); font-variant-numeric: tabular-nums; }
.plot .heading { font-weight: 600; }
.plot .tick { fill: var(--quiet); }
.plot .grid { stroke: var(--rule); }
.plot .base { stroke: var(--base); }
.color-blue { --color: var(--blue); }
.color-green { --color: var(--green); }
.color-balancer { --color: var(--balancer); }
.color-other { --color: var(--other); }
.area, .share { fill: var(--color); fill-opacity: 0.14; }
.share { fill-opacity: 0.22; }
.stripe { stroke: var(--color); stroke-width: 1.5; stroke-opacity: 0.28; }
.errors { fill: var(--color); }
.line { fill: none; stroke: var(--color); stroke-width: 1.75; }
.line.requests.color-green { stroke-dasharray: 5 2.5; }
.line.p50 { stroke-width: 2.25; }
.line.p95 { stroke-width: 1.25; }
.line.p99 { stroke-width: 1.25; stroke-dasharray: 2 2; }
.bar { fill: var(--bar); }
.bar.warning { fill: var(--warning-tint); stroke: var(--warning); }
.bar.bad { fill: var(--bad-tint); stroke: var(--bad); }
.plot .bar-name.warning { fill: var(--warning); }
.plot .bar-name.bad { fill: var(--bad); }
.decision { fill: none; stroke: var(--quiet); stroke-opacity: 0.6; }
.mark { fill: var(--quiet); }
.mark.plain { fill: var(--page); stroke: var(--quiet); stroke-width: 2; }
.label text { font-weight: 600; }
.label text, .plot .heading, .plot .tick {
  paint-order: stroke; stroke: var(--page); stroke-width: 4px; stroke-linejoin: round;
}
.flag { fill: var(--raised); stroke: var(--quiet); }
.label.warning .flag { fill: var(--warning-tint); stroke: var(--warning); }
.label.bad .flag { fill: var(--bad-tint); stroke: var(--bad); }
.label .flag + text { stroke: none; }
.decision.warning, .mark.warning { stroke: var(--warning); }
.mark.warning { fill: var(--warning); }
.plot .label.warning text { fill: var(--warning); }
.decision.bad, .mark.bad { stroke: var(--bad); }
.mark.bad { fill: var(--bad); }
.plot .label.bad text { fill: var(--bad); }
.key { columns: 300px; column-gap: 32px; margin-top: 20px; counter-reset: number; font-size: 14px; }
.key li { padding: 2px 0 2px 30px; break-inside: avoid; position: relative; counter-increment: number; }
.key li::before { content: counter(number); position: absolute; left: 0; font-weight: 600; }
.key li > span:first-child { margin-right: 6px; color: var(--quiet); font-variant-numeric: tabular-nums; }

table { width: 100%; border-collapse: collapse; table-layout: fixed; }
th, td { padding: 9px 20px 9px 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--rule); }
th { font-weight: 400; }
th:last-child, td:last-child { padding-right: 0; }
thead th { padding-top: 0; font-size: 13px; color: var(--quiet); }
.figures th:first-child { width: 42%; }
.figures th:last-child { width: 90px; }
.figures .value { font-weight: 600; }
.gates th:first-child { width: 200px; overflow-wrap: anywhere; }
.gates th:nth-child(2) { width: 84px; }
.gates th:nth-child(3) { width: 96px; }
.verdict { white-space: nowrap; }
.verdict.good { color: var(--good); }
.verdict.bad { color: var(--bad); font-weight: 600; }
.events { font-variant-numeric: tabular-nums; }
.events th:first-child { width: 168px; }
.events th:nth-child(2) { width: 136px; }
.events .day th { padding-top: 24px; font-weight: 600; width: auto; }
.elapsed { margin-left: 8px; color: var(--quiet); }
.what.bad { color: var(--bad); }
.what.warning { color: var(--warning); }

.nobody { margin-bottom: 16px; }
.told li { padding: 14px 18px; border: 1px solid var(--rule); border-radius: 8px; }
.told li + li { margin-top: 12px; }
.told .page { border-color: var(--warning); border-left-width: 4px; }
.addressed { font-size: 14px; color: var(--quiet); font-variant-numeric: tabular-nums; }
.addressed strong { color: var(--ink); }
.subject { margin-top: 4px; font-weight: 600; }
summary { margin-top: 6px; font-size: 14px; color: var(--quiet); cursor: pointer; width: fit-content; }
.text { margin-top: 8px; white-space: pre-wrap; }
.notes { list-style: disc; padding-left: 20px; max-width: 60em; }
.notes li + li { margin-top: 6px; }

@media (min-width: 980px) { .plot.wide { display: block; } }
@media (min-width: 640px) and (max-width: 979.98px) { .plot.medium { display: block; } }
@media (max-width: 639.98px) {
  .plot.narrow { display: block; max-width: 520px; }
  main { padding: 28px 16px 56px; }
  section { margin-top: 44px; }
  h1 { font-size: 24px; }
  .headline { font-size: 17px; }
  .duration { display: block; }
  .duration::before { content: none; }
  .facts { gap: 12px; }
  th, td { padding-right: 12px; }
  .figures th:first-child { width: 36%; }
  .figures th:last-child { width: 84px; }
  .gates th:first-child { width: 30%; }
  .gates th:nth-child(2) { width: 70px; }
  .gates th:nth-child(3) { width: 78px; }
  .events th:first-child { width: 76px; }
  .events th:nth-child(2) { width: 78px; }
  .elapsed { display: block; margin-left: 0; }
}
@media print {
  main { padding: 0; max-width: none; }
  .plot { break-inside: avoid; }
  h2 { break-after: avoid; }
  tr, .told li { break-inside: avoid; }
  thead { display: table-header-group; }
  details::details-content { content-visibility: visible; display: block; }
  summary { display: none; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""
