import { render } from "preact";
import { followRoute, loadChats } from "./state/chats";
import { openWhereItFits } from "./state/opening";
import { watchServer } from "./state/server";
import "./styles/main.css";
import { App } from "./views/App";
import { goOnWriting, isWriting } from "./views/Composer";

void watchServer();
void loadChats().then(followRoute);
openWhereItFits(() => !isWriting());
goOnWriting(document.querySelector<HTMLTextAreaElement>("#message")!.value);
render(<App />, document.getElementById("app")!); // what is there already is taken over
delete document.documentElement.dataset["first"];
