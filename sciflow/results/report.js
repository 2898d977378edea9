// Draw each chart over its picture; where drawing fails, the picture stays.
for (const figure of document.querySelectorAll("figure[data-chart]")) {
  const spec = JSON.parse(document.getElementById(figure.dataset.chart).textContent);
  const place = figure.querySelector(".chart");
  // With ast: true expressions are interpreted, so that the page needs no leave to evaluate code.
  const options = { mode: "vega-lite", renderer: "svg", ast: true, actions: { export: true, source: false, compiled: false, editor: false } };
  window.vegaEmbed(place, spec, options).then(() => figure.classList.add("live"), () => place.replaceChildren());
}
