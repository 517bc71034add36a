import assert from 'node:assert/strict';
import { test } from 'node:test';
import { debianLicense } from '../../../src/evidence/packages/dpkg-status.js';
import {
  allOf,
  licenseExpression,
  licenseReferences,
} from '../../../src/evidence/packages/license.js';

test('license names of other lists are translated to SPDX', () => {
  const names = {
    'GPL-2+': 'GPL-2.0-or-later',
    'GPL-3': 'GPL-3.0-only',
    'LGPLv2.1+': 'LGPL-2.1-or-later',
    'AGPL-3.0+': 'AGPL-3.0-or-later',
    Expat: 'MIT',
    'BSD-3-clause': 'BSD-3-Clause',
    'Apache-2.0': 'Apache-2.0',
    'GPL-2.0-only OR MIT': 'GPL-2.0-only OR MIT',
    'LGPL-3+ or GPL-2+': 'LGPL-3.0-or-later OR GPL-2.0-or-later',
    'GPLv2+ and MIT': 'GPL-2.0-or-later AND MIT',
    'public-domain': 'LicenseRef-public-domain',
    'GPL-2+ with OpenSSL exception': 'LicenseRef-GPL-2-with-OpenSSL-exception',
    'GPL-1+ or Artistic, and more': 'LicenseRef-GPL-1-or-Artistic-and-more',
  };
  for (const [name, expected] of Object.entries(names)) {
    assert.equal(licenseExpression(name), expected);
  }
  assert.equal(licenseExpression('  '), undefined);
});

test('licenses are combined once each, with choices in parentheses', () => {
  assert.equal(allOf(['MIT', 'B OR A', 'MIT AND ISC']), '(B OR A) AND ISC AND MIT');
  assert.equal(allOf(['MIT']), 'MIT');
  assert.equal(allOf([]), undefined);
  assert.deepEqual(licenseReferences('LicenseRef-a.b AND MIT OR LicenseRef-c'), [
    'LicenseRef-a.b',
    'LicenseRef-c',
  ]);
});

test('only machine-readable copyright files are evaluated', () => {
  const copyright = [
    'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/',
    'License: not-of-files',
    '',
    'Files: *',
    'Copyright: someone',
    'License: GPL-2+',
    ' The text.',
    '',
    'Files: lib/*',
    'License: Expat',
    '',
    'License: GPL-2+',
    ' The text.',
  ];
  assert.equal(debianLicense(copyright.join('\n')), 'GPL-2.0-or-later AND MIT');
  assert.equal(debianLicense(copyright.slice(3).join('\n')), undefined);
});
