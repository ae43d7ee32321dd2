// The guided tour of the radial view: each step shows a model and holds a selection.
(() => {
  "use strict";
  const Attnflow = (globalThis.Attnflow ??= {});
  const { selection: select, make } = Attnflow;

  /** `view()` tells which models are shown, `show(view, selection)` shows others. */
  Attnflow.tour = (element, { view, show }) => {
    const steps = element.querySelector("span"), text = element.querySelector("p");
    let before = null; // the view to go back to

    function draw(tour = []) {
      before = null;
      steps.replaceChildren();
      text.textContent = "";
      tour.forEach((step, index) => {
        const button = make("button", "", `${index + 1}. ${step.title}`, steps);
        button.type = "button";
        button.addEventListener("click", () => {
          press(button);
          text.textContent = step.text;
          before ??= view();
          show(step.view, select.decode(step.select));
          element.scrollIntoView({ block: "start", behavior: "smooth" });
        });
      });
    }

    function press(button) {
      for (const other of steps.children) other.setAttribute("aria-pressed", String(other === button));
    }

    function end() {
      const back = before;
      before = null;
      press(null);
      text.textContent = "";
      if (back && back !== view()) show(back, null);
    }

    return { draw, end };
  };
})();
