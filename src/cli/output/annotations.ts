/**
 * Formats a workflow command of GitHub Actions, which shows a message in a pull request (GitHub
 * Docs, "Workflow commands"; escapes as documented there).
 */
export function annotation(
  level: 'error' | 'warning' | 'notice',
  title: string,
  message: string,
): string {
  const data = (text: string) =>
    text.replace(/%/g, '%25').replace(/\r/g, '%0D').replace(/\n/g, '%0A');
  const property = (text: string) => data(text).replace(/:/g, '%3A').replace(/,/g, '%2C');
  return `::${level} title=${property(title)}::${data(message)}\n`;
}
