// Runs before anything is painted, and so is part of the page itself: what has to be known for that. The program comes
// after it, as its coming would delay what can be seen already.

{
  const { dataset } = document.documentElement;
  const chosen = localStorage.getItem("loaf.theme");
  if (chosen) dataset["theme"] = chosen;
  // The page comes as it is for a new conversation (index.html): for another view it stays empty.
  if (/^#(chat\/|completion)/.test(location.hash)) dataset["first"] = "another";

  const start = (): void => void import("./assets/app.js");
  if (document.visibilityState === "hidden") start(); // nothing is painted behind other tabs
  else requestAnimationFrame(() => setTimeout(start));
}
