import { type AnyCommand, defineCommand } from '../command.js';
import { EXIT } from '../exit-status.js';
import { writeOut } from '../output/output.js';

const positionals = {
  shell: {
    choices: ['bash', 'zsh', 'fish'],
    demandOption: true,
    describe: 'Shell: bash, zsh or fish',
  },
} as const;

/**
 * Makes the command that prints completion scripts.
 *
 * @param commands the commands to complete, of which it is one itself
 */
export const completionCommand = (commands: () => readonly AnyCommand[]) =>
  defineCommand({
    name: 'completion',
    usage: '<shell>',
    summary: 'Print the completion script for a shell',
    description: [
      'The script completes commands, options and their values, directories, programs on PATH, and ' +
        'after "run ROOT --" the programs of the jail.',
    ],
    positionals,
    options: {},
    examples: [
      ['completion bash > /etc/bash_completion.d/jailbuild', 'For every user of bash'],
      ['completion zsh > /usr/local/share/zsh/site-functions/_jailbuild', 'For every user of zsh'],
      ['completion fish > ~/.config/fish/completions/jailbuild.fish', 'For one user of fish'],
    ],
    async run({ shell }) {
      writeOut(await completionScript(shell, commands()));
      return EXIT.ok;
    },
  });

async function completionScript(shell: string, all: readonly AnyCommand[]): Promise<string> {
  const [{ completedCommands }, { profileNames }] = await Promise.all([
    import('../completion/model.js'),
    import('../../profile/load.js'),
  ]);
  const commands = completedCommands(all, { profiles: profileNames() });
  switch (shell) {
    case 'zsh':
      return (await import('../completion/zsh.js')).zshCompletion(commands);
    case 'fish':
      return (await import('../completion/fish.js')).fishCompletion(commands);
    default:
      return (await import('../completion/bash.js')).bashCompletion(commands);
  }
}
