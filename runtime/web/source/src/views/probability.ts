export function probabilityOf({ logprob }: { logprob: number }): number {
  return Math.exp(logprob);
}

export function percent(probability: number): string {
  const hundredths = probability * 100;
  return `${hundredths >= 10 ? hundredths.toFixed(0) : hundredths >= 0.1 ? hundredths.toFixed(1) : "< 0.1"} %`;
}
