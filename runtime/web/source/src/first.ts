// Runs before anything is painted, and so is part of the page itself: what has to be known for that. The program comes
// after it, as its coming would delay what can be seen already.

{
  const { dataset } = document.documentElement;
  const theme = localStorage.getItem("loaf.theme");
  if (theme) dataset["theme"] = theme;
  // The page comes as it is for a new conversation (index.html): for another view it stays empty.
  if (/^#(chat\/|completion)/.test(location.hash)) dataset["first"] = "another";

  // What is pressed or chosen before the program can hear of it is told again once it has taken over what is painted.
  const early: (() => void)[] = [];
  const pressed = ({ target }: Event): void => {
    const button = (target as Element).closest("button");
    if (button) early.push(() => button.click());
  };
  const chosen = ({ target }: Event): void => {
    if ((target as HTMLInputElement).files) early.push(() => target!.dispatchEvent(new Event("change", { bubbles: true })));
  };
  addEventListener("click", pressed);
  addEventListener("change", chosen);
  const start = async (): Promise<void> => {
    await import("./assets/app.js");
    removeEventListener("click", pressed);
    removeEventListener("change", chosen);
    for (const again of early) again();
  };
  if (document.visibilityState === "hidden") void start(); // nothing is painted behind other tabs
  else requestAnimationFrame(() => setTimeout(start));
}
