import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { embeddedJson, html } from '../../src/report/html.js';

describe('names from outside in a page', () => {
  test('contain no markup', () => {
    assert.equal(
      html('</td><script>alert("1")</script>&\'`'),
      '&#60;/td&#62;&#60;script&#62;alert(&#34;1&#34;)&#60;/script&#62;&#38;&#39;&#96;',
    );
  });

  test('show invisible characters', () => {
    assert.equal(html('a\nb\u0007\u202ec\u2066'), 'a\\x0ab\\x07\\u202ec\\u2066');
    // Bytes that are not UTF-8.
    assert.equal(html('\udcff\udc80'), '\\xff\\x80');
    assert.equal(html('plain ünïcode 𝄞'), 'plain ünïcode 𝄞');
  });

  test('cannot end the script element that contains them as JSON', () => {
    const value = { path: '</script><!--\u2028&' };
    const text = embeddedJson(value);
    assert.doesNotMatch(text, /[<>&\u2028]/);
    assert.deepEqual(JSON.parse(text), value);
  });
});
