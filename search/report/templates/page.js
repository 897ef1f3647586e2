"use strict";
// Inflates the plotting library, then draws each figure in the colours of the page.
(() => {
  const plots = [...document.querySelectorAll("[data-plot]")];

  const inflate = async () => {
    const text = document.getElementById("plotly").textContent;
    const bytes = Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(stream).text();
    document.head.append(script);
  };

  // A custom property may be a function of the theme; a colour that is set has one value.
  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);
  const colour = (name) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };

  const themed = (figure) => {
    const { data, layout } = structuredClone(figure);
    for (const trace of data) {
      const own = colour(trace.meta);
      if (trace.type !== "bar") trace.line = { ...trace.line, color: own };
      trace.marker = { ...trace.marker, color: own, line: { ...trace.marker?.line, color: own } };
      for (const bar of [trace.error_x, trace.error_y]) if (bar) bar.color = own;
    }
    const [text, rule, page] = ["text", "rule", "page"].map(colour);
    layout.font = { color: text, family: getComputedStyle(document.body).fontFamily, size: 13 };
    for (const name of Object.keys(layout).filter((key) => /^[xy]axis/.test(key))) {
      Object.assign(layout[name], { linecolor: text, tickcolor: text, gridcolor: rule, zerolinecolor: rule });
    }
    for (const shape of layout.shapes ?? []) shape.line.color = text;
    for (const note of layout.annotations ?? []) Object.assign(note, { bgcolor: page, font: { color: text } });
    layout.hoverlabel = { bgcolor: page, bordercolor: rule, font: { color: text } };
    return { data, layout };
  };

  const draw = () => {
    for (const place of plots) {
      const figure = JSON.parse(document.getElementById(place.dataset.plot).textContent);
      const { data, layout } = themed(figure);
      Plotly.react(place, data, layout, { responsive: true, displaylogo: false });
    }
  };

  inflate().then(() => {
    draw();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
    document.documentElement.dataset.drawn = "true";
  }).catch((error) => {
    for (const place of plots) {
      place.classList.add("failed");
      place.textContent = `This figure needs a newer browser (${error}). ${place.getAttribute("aria-label")}`;
    }
  });
})();
