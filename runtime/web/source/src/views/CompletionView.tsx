export function CompletionView() {
  return <main />;
}
