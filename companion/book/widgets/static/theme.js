// How living figures look: inks, marks, styles by the page's own variables, light and dark.

const INK = ["#2b83c6", "#cf6214", "#8a63c4", "#2a9163"]; // contrast of 3 on white and on black

const STYLE = `
.ng-living { --ng-text: var(--pst-color-text-base, var(--jp-content-font-color1, currentColor));
  --ng-soft: var(--pst-color-text-muted, var(--jp-content-font-color1, currentColor));
  --ng-line: var(--pst-color-border, var(--jp-border-color1, #8888));
  --ng-back: var(--pst-color-background, var(--jp-layout-color0, Canvas));
  --ng-a: ${INK[0]}; --ng-b: ${INK[1]}; --ng-c: ${INK[2]}; --ng-d: ${INK[3]};
  color: var(--ng-text); }
.ng-living figure { margin: 0; }
.ng-living.ng-living.ng-living figure.ng-figure figcaption { max-width: 46rem;
  margin: .7rem auto 0; text-align: left; }
.ng-living[data-ready] .ng-still { display: none; }
.ng-stage { display: flex; flex-wrap: wrap; gap: .8rem 1.6rem; align-items: center;
  justify-content: center; max-width: 46rem; margin: 0 auto; text-align: left;
  font-size: .9rem; line-height: 1.4; }
.ng-view { position: relative; flex: 4 1 18rem; max-width: 27rem; }
.ng-view > svg, .ng-view > canvas { display: block; position: absolute; }
.ng-view > svg { inset: 0; width: 100%; height: 100%; pointer-events: none; }
.ng-view text { fill: var(--ng-soft); font-size: 14px; font-variant-numeric: tabular-nums; }
.ng-view .ng-name { fill: var(--ng-text); font-size: 15px; }
.ng-panel { display: flex; flex: 3 1 15rem; flex-direction: column; gap: .5rem; min-width: 0;
  max-width: 27rem; }
.ng-panel > form { display: contents; }
.ng-panel output { font-weight: 600; font-variant-numeric: tabular-nums; }
.ng-panel label.ng-slider { display: block; }
.ng-panel label.ng-slider input { display: block; width: 100%; height: 2.75rem; margin: 0;
  accent-color: var(--ng-a); touch-action: pan-y; cursor: pointer; }
.ng-panel label.ng-slider input:disabled { opacity: .45; cursor: default; }
.ng-panel fieldset { display: flex; flex-wrap: wrap; min-width: 0; margin: 0; padding: 0;
  border: 0; }
.ng-panel legend { float: none; width: auto; margin: 0 0 .3rem; padding: 0; font-size: inherit; }
.ng-panel fieldset label { position: relative; display: flex; flex: 1 1 auto; min-height: 2.75rem;
  align-items: center; justify-content: center; margin: 0 -1px 0 0; padding: 0 .35rem;
  border: 1px solid var(--ng-line); cursor: pointer; }
.ng-panel fieldset label:first-of-type { border-radius: .4rem 0 0 .4rem; }
.ng-panel fieldset label:last-of-type { border-radius: 0 .4rem .4rem 0; }
.ng-panel fieldset input { position: absolute; inset: 0; width: 100%; height: 100%; margin: 0;
  opacity: 0; cursor: pointer; }
.ng-panel fieldset label:has(:checked) { z-index: 1; border-color: var(--ng-a); font-weight: 700;
  box-shadow: inset 0 -3px var(--ng-a); }
.ng-panel button { align-self: flex-start; min-width: 6rem; min-height: 2.75rem; padding: 0 1rem;
  border: 1px solid var(--ng-line); border-radius: .4rem; background: transparent;
  color: inherit; font: inherit; cursor: pointer; }
.ng-panel :is(button, input[type=range]):focus-visible, .ng-panel label:has(:focus-visible),
.ng-handle:focus-visible { outline: 3px solid var(--ng-a); outline-offset: 2px; }
.ng-panel label.ng-slider:has(:focus-visible) { outline: 0; }
.ng-stage p { margin: 0; }
.ng-stage .ng-told { min-height: 1.4em; font-size: 1.05em; font-weight: 600; }
.ng-panel .ng-help { color: var(--ng-soft); font-size: .85rem; }
.ng-panel ul { margin: 0; padding: 0; list-style: none; }
.ng-panel li { display: flex; gap: .6rem; align-items: center; margin: 0; padding: .12rem 0; }
.ng-panel li svg { flex: none; width: 34px; height: 18px; }
.ng-panel li output { margin-left: auto; white-space: nowrap; }
.ng-stage .ng-keys { display: flex; flex-wrap: wrap; gap: 0 1.2rem; }
.ng-frames .ng-stage { flex-direction: row-reverse; align-items: center; }
.ng-frames .ng-column { flex: 4 1 18rem; min-width: 0; max-width: 27rem; }
.ng-frames .ng-column p { margin-bottom: .3rem; }
.ng-frames .ng-several { display: grid; align-items: end;
  grid-template-columns: repeat(auto-fill, minmax(min(18rem, 100%), 1fr)); }
.ng-several > :is(.ng-keys, .ng-panel) { grid-column: 1 / -1; max-width: none; }
.ng-several .ng-panel { flex-flow: row wrap; gap: .5rem 1.6rem; align-items: flex-end; }
.ng-several fieldset { flex: 1 1 14rem; }
.ng-several label.ng-slider { flex: 1 1 14rem; }
.ng-several .ng-panel button { align-self: flex-end; }
.ng-panel button:disabled { opacity: .45; cursor: default; }
.ng-handle { position: absolute; width: 44px; height: 44px; margin: -22px 0 0 -22px;
  border-radius: 50%; cursor: grab; touch-action: none; }
.ng-handle::after { position: absolute; inset: 13px; border: 3px solid var(--ng-back);
  border-radius: 50%; background: var(--ng-text); box-shadow: 0 0 0 2px var(--ng-text);
  content: ""; }
.ng-handle:active { cursor: grabbing; }
.ng-hidden { position: absolute; width: 1px; height: 1px; overflow: hidden;
  clip-path: inset(50%); white-space: nowrap; }
@media print { .ng-living[data-ready] .ng-still { display: initial; }
  .ng-living .ng-stage { display: none; } }`;

// A mark is told by its shape first: circle, triangle, square, cross.
const MARKS = [
  (r) => `M${-r} 0a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0z`,
  (r) => `M0 ${-1.25 * r}L${1.15 * r} ${0.8 * r}H${-1.15 * r}z`,
  (r) => `M${-r} ${-r}H${r}V${r}H${-r}z`,
  (r) => `M0 ${-1.35 * r}L${1.35 * r} 0L0 ${1.35 * r}L${-1.35 * r} 0z`,
];
