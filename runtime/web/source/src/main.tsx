import { render } from "preact";
import { followRoute, loadChats } from "./state/chats";
import { watchServer } from "./state/server";
import "./styles/main.css";
import { App } from "./views/App";

void watchServer();
void loadChats().then(followRoute);
render(<App />, document.getElementById("app")!);
