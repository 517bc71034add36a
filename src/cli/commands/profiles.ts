import { JailbuildError } from '../../errors.js';
import { defineCommand } from '../command.js';
import { EXIT } from '../exit-status.js';
import { jsonLine } from '../output/json.js';
import { writeOut } from '../output/output.js';

const positionals = {
  action: {
    type: 'string',
    complete: ['list', 'show'],
    describe: 'list or show; show is implied by names [default: list]',
  },
  name: {
    type: 'string',
    array: true,
    describe: 'Names or paths of profiles',
    complete: 'profile',
  },
} as const;

const options = {
  json: { type: 'boolean', describe: 'Print JSON' },
} as const;

export const profilesCommand = defineCommand({
  name: 'profiles',
  usage: '[action] [name..]',
  summary: 'List profiles, or show what they add and their notes',
  positionals,
  options,
  examples: [
    ['profiles', 'List all profiles'],
    ['profiles show sftp', 'Show what a profile brings, and its notes'],
  ],
  async run({ action = 'list', name: further = [], json }) {
    const { knownProfiles, loadProfiles } = await import('../../profile/load.js');
    const names = action === 'list' || action === 'show' ? further : [action, ...further];
    if (action === 'list') {
      if (names.length > 0)
        throw new JailbuildError('USAGE', `profiles list ${names[0]}: takes no names`);
      const profiles = knownProfiles();
      const { profileTable } = await import('../output/profile-text.js');
      writeOut(json ? jsonLine({ profiles }) : profileTable(profiles));
      return EXIT.ok;
    }
    if (names.length === 0) throw new JailbuildError('USAGE', 'profiles show: name a profile');
    const { profileText } = await import('../output/profile-text.js');
    // Included profiles precede it.
    const shown = names
      .map((name) => loadProfiles([name]).at(-1))
      .filter((item) => item !== undefined);
    writeOut(json ? jsonLine({ profiles: shown }) : shown.map(profileText).join('\n'));
    return EXIT.ok;
  },
});
