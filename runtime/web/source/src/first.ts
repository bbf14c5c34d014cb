// Runs before anything is painted, and so is part of the page itself: what has to be known for that. The program comes
// after it, as its coming would delay what can be seen already.

{
  const { dataset } = document.documentElement;
  const chosen = localStorage.getItem("loaf.theme");
  if (chosen) dataset["theme"] = chosen;
  // The page comes as it is for a new conversation (index.html): for another view it stays empty.
  if (/^#(chat\/|completion)/.test(location.hash)) dataset["first"] = "another";

  // What is pressed before the program can hear of it is pressed again once it has taken over what is painted.
  const early: HTMLElement[] = [];
  const hear = ({ target }: Event): void => {
    const button = (target as Element).closest("button");
    if (button) early.push(button);
  };
  addEventListener("click", hear);
  const start = async (): Promise<void> => {
    await import("./assets/app.js");
    removeEventListener("click", hear);
    for (const button of early) button.click();
  };
  if (document.visibilityState === "hidden") void start(); // nothing is painted behind other tabs
  else requestAnimationFrame(() => setTimeout(start));
}
