// What stands behind the model's name: what it is, and where programs ask it.

import { signal } from "@preact/signals";
import { CopyButton } from "../parts/CopyButton";
import { Dialog } from "../parts/Dialog";
import { Name } from "../parts/Name";
import { addressForPrograms, facts } from "../state/facts";
import { model } from "../state/server";

const isOpen = signal(false);

export function openAbout(): void {
  isOpen.value = true;
}

export function About() {
  return (
    <Dialog name="about" isOpen={isOpen} title={<Name text={model.value?.id ?? ""} />} closing="Close what is said of the model">
      <Facts />
      <ForPrograms />
    </Dialog>
  );
}

function Facts() {
  return <dl>{facts.value.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>;
}

function ForPrograms() {
  return (
    <section>
      <h3>For programs</h3>
      <Copied label="Address (base URL)" text={addressForPrograms()} />
      <Copied label="Model" text={model.value?.id ?? ""} />
      <p><a href="docs" target="_blank" rel="noopener">All that can be asked</a>, with an example for each address.</p>
    </section>
  );
}

function Copied({ label, text }: { label: string; text: string }) {
  return (
    <div class="copied">
      <span>{label}</span>
      <code>{text}</code>
      <CopyButton text={text} label={`Copy: ${label}`} />
    </div>
  );
}
