import { render } from "preact";
import { keepPrompt } from "./state/completing";
import { followRoute, loadChats } from "./state/chats";
import { goOnWriting, isWriting, keepDrafts } from "./state/drafts";
import { joinTabs } from "./state/elsewhere";
import { askBeforeLeaving } from "./state/leaving";
import { openWhereItFits } from "./state/opening";
import { route } from "./state/route";
import { watchServer } from "./state/server";
import "./styles/main.css";
import { App } from "./views/App";
import { complain } from "./views/Composer";

void watchServer();
void loadChats().then(followRoute);
joinTabs(complain);
keepDrafts();
keepPrompt();
askBeforeLeaving();
openWhereItFits(() => !isWriting());
const at = route.value;
const early = document.querySelector<HTMLTextAreaElement>("#message")!.value;
if (at.view === "chat" && early) goOnWriting({ text: early }, at.chat ?? undefined);
render(<App />, document.getElementById("app")!); // what is there already is taken over
delete document.documentElement.dataset["first"];
