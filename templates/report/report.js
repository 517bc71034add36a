// The page is complete without this script: it adds sorting, a filter, the map of sizes and the graph.
(() => {
  /** Rows of the table of entries that are shown at first. */
  const ROWS = 200;
  /** Rows that are shown more at each time. */
  const MORE_ROWS = 400;
  /** Areas of the map, and files in one of them. */
  const AREAS = 40;
  const FILES = 16;
  /** Neighbours in the graph that are shown at first. */
  const NEIGHBOURS = 12;
  /** Flags of an entry. */
  const UNUSED = 1;
  const OWN_REASON = 2;

  /** @param {string} id */
  const byId = (id) => document.getElementById(id);

  function make(name, properties = {}, ...content) {
    const element = Object.assign(document.createElement(name), properties);
    element.append(...content);
    return element;
  }

  const entries = readEntries();
  const list = entryList();
  for (const table of document.querySelectorAll('table')) makeSortable(table);
  if (entries.length > 0) {
    addMap();
    addGraph();
  }

  /** Paths are in the table; the rest is in the data of the page. */
  function readEntries() {
    const text = byId('data')?.textContent;
    if (!text) return [];
    const { packages, kinds, rows } = JSON.parse(text);
    const cells = byId('all').tBodies[0].rows;
    return rows.map(([size, owner, kind, flags, ...links], number) => ({
      number,
      row: cells[number],
      path: cells[number].cells[0].firstChild.data,
      size,
      owner: packages[owner],
      kind: kinds[kind],
      isUnused: (flags & UNUSED) !== 0,
      hasOwnReason: (flags & OWN_REASON) !== 0,
      /** What it is there for. */
      by: Array.from({ length: links.length / 2 }, (_, at) => ({
        number: links[2 * at],
        kind: kinds[links[2 * at + 1]],
      })),
      /** What is there for it. */
      needs: [],
    }));
  }

  // The table of entries

  /** Shows the rows that the filter lets through, the first few of them. */
  function entryList() {
    const table = byId('all');
    if (!table) return undefined;
    const rows = [...table.tBodies[0].rows];
    let order = rows;
    let texts;
    /** Puts a button into each row that is shown, once. */
    let decorate = () => {};
    let limit = ROWS;
    /** The row that a link led to, which is shown wherever it is. */
    let linked;
    /** Further conditions on rows, by what they are called. */
    const conditions = new Map();
    const filter = byId('filter');
    const more = make('button', { id: 'more', type: 'button' });
    table.parentElement.after(more);
    more.addEventListener('click', () => {
      const first = order.find(({ className }) => className === 'over');
      limit += MORE_ROWS;
      show();
      first?.querySelector('a, button')?.focus({ preventScroll: true });
    });

    const show = () => {
      const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
      const tests = [...conditions.values()];
      if (words.length > 0) {
        texts ??= new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
      }
      let count = 0;
      for (const row of order) {
        const fits =
          words.every((word) => texts.get(row).includes(word)) && tests.every((test) => test(row));
        if (row.hidden === fits) row.hidden = !fits;
        const name = fits && count >= limit && row !== linked ? 'over' : '';
        if (row.className !== name) row.className = name;
        if (!fits) continue;
        if (count < limit) decorate(row);
        count++;
      }
      table.classList.add('ready');
      const number = (value) => value.toLocaleString('en');
      const shown = Math.min(count, limit);
      const isAll = count === rows.length;
      byId('count').textContent = isAll ? '' : `${number(count)} of ${number(rows.length)}`;
      more.hidden = shown === count;
      more.textContent = `Show ${number(Math.min(count - shown, MORE_ROWS))} more of ${number(count - shown)}`;
    };

    const reveal = (row) => {
      linked = row;
      if (row.hidden) {
        filter.value = '';
        conditions.clear();
        for (const button of byId('marks').children) button.setAttribute('aria-pressed', 'false');
        for (const chip of document.querySelectorAll('.chip')) chip.remove();
        show();
      }
      row.className = '';
      decorate(row);
    };

    filter.addEventListener('input', () => {
      // A new question begins with the first rows again.
      limit = ROWS;
      show();
    });
    table.addEventListener('click', ({ target }) => {
      const link = target.closest('a');
      if (link) reveal(byId(link.hash.slice(1)));
    });
    const target = byId(location.hash.slice(1));
    show();
    if (target && rows.includes(target)) {
      reveal(target);
      target.scrollIntoView();
    }

    return {
      /** Sorts rows by keys. */
      sort(compareRows) {
        order = [...order].sort(compareRows);
        table.tBodies[0].append(...order);
        show();
      },
      reveal,
      /** @param {(row: HTMLTableRowElement) => void} change is called for each row when it is shown first */
      onShown(change) {
        const done = new Set();
        decorate = (row) => {
          if (!done.has(row)) change(row);
          done.add(row);
        };
        show();
      },
      /** A button that shows the rows of some entries alone. */
      addMark(name, test) {
        const numbers = new Set(entries.filter(test).map(({ row }) => row));
        if (numbers.size === 0 || numbers.size === rows.length) return;
        const text = `${name} ${numbers.size.toLocaleString('en')}`;
        const button = make('button', { type: 'button', textContent: text });
        button.setAttribute('aria-pressed', 'false');
        button.addEventListener('click', () => {
          const isOn = !conditions.has(name);
          if (isOn) conditions.set(name, (row) => numbers.has(row));
          else conditions.delete(name);
          button.setAttribute('aria-pressed', String(isOn));
          show();
        });
        byId('marks').append(button);
      },
      /** Shows the entries of a group alone, until its button is pressed. */
      setGroup(text, members) {
        const numbers = new Set(members.map(({ row }) => row));
        document.querySelector('.chip')?.remove();
        conditions.set('group', (row) => numbers.has(row));
        const chip = make('button', {
          type: 'button',
          className: 'chip',
          textContent: text,
        });
        const cross = make('span', {}, ' ✕');
        cross.setAttribute('aria-hidden', 'true');
        chip.append(cross, make('span', { className: 'unseen' }, ': show all entries again'));
        chip.setAttribute('aria-pressed', 'true');
        chip.addEventListener('click', () => {
          conditions.delete('group');
          chip.remove();
          show();
          filter.focus();
        });
        byId('marks').prepend(chip);
        show();
        byId('entries').scrollIntoView();
        chip.focus({ preventScroll: true });
      },
    };
  }

  /** Columns are sorted by the number of their cells, or else by their text. */
  function makeSortable(table) {
    const body = table.tBodies[0];
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = make('button', { type: 'button' }, ...head.childNodes);
      head.append(button);
      const isNumber = body.rows[0]?.cells[column]?.dataset.sort !== undefined;
      if (isNumber) head.className = 'number';
      button.addEventListener('click', () => {
        // The largest first, and text from its beginning.
        const first = isNumber ? 'descending' : 'ascending';
        const second = isNumber ? 'ascending' : 'descending';
        const direction = head.getAttribute('aria-sort') === first ? second : first;
        const sign = direction === 'ascending' ? 1 : -1;
        const keys = new Map([...body.rows].map((row) => [row, keyOf(row.cells[column])]));
        const byKey = (one, other) => compare(keys.get(one), keys.get(other)) * sign;
        for (const other of heads) other.removeAttribute('aria-sort');
        head.setAttribute('aria-sort', direction);
        if (table.id === 'all') list.sort(byKey);
        else body.append(...[...body.rows].sort(byKey));
      });
    });
  }

  function keyOf(cell) {
    const { sort } = cell.dataset;
    return sort === undefined ? cell.textContent : Number(sort);
  }

  function compare(one, other) {
    return one < other ? -1 : one > other ? 1 : 0;
  }

  function sizeText(bytes) {
    const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
    let value = bytes;
    let unit = 0;
    while (value >= 1024 && unit < units.length - 1) {
      value /= 1024;
      unit++;
    }
    return unit === 0 ? `${value} B` : `${value.toFixed(1)} ${units[unit]}`;
  }

  function sumOf(some) {
    return some.reduce((sum, { size }) => sum + size, 0);
  }

  // The map of sizes

  function addMap() {
    list.addMark('requested', ({ kind }) => kind === 'requested');
    const privileged = new Set(
      [...document.querySelectorAll('#all strong.bad')].map((mark) => mark.closest('tr')),
    );
    list.addMark('set-ID or capabilities', ({ row }) => privileged.has(row));
    list.addMark('of no package', ({ owner, size }) => owner === '' && size > 0);
    list.addMark('unused', ({ isUnused }) => isUnused);

    const map = byId('map');
    const choices = document.querySelectorAll('input[name="group"]');
    const keys = {
      package: ({ owner }) => owner || 'no package',
      directory: ({ path }) => path.split('/').slice(0, -1).slice(0, 4).join('/') || '/',
      reason: ({ kind }) => kind || 'no reason',
    };
    let width = 0;
    const draw = () => {
      width = map.clientWidth;
      const { value } = [...choices].find(({ checked }) => checked);
      const groups = new Map();
      for (const entry of entries) {
        if (entry.size === 0) continue;
        const key = keys[value](entry);
        const known = groups.get(key);
        if (known) known.push(entry);
        else groups.set(key, [entry]);
      }
      const sorted = [...groups]
        .map(([name, members]) => ({ name, members, size: sumOf(members) }))
        .sort((a, b) => b.size - a.size);
      const rest = sorted.slice(AREAS);
      const shown = sorted.slice(0, AREAS);
      if (rest.length > 0) {
        const members = rest.flatMap((group) => group.members);
        shown.push({ name: `${rest.length} more`, members, size: sumOf(members) });
        shown.sort((a, b) => b.size - a.size);
      }
      const whole = { x: 0, y: 0, width, height: map.clientHeight };
      const tiles = areas(shown, whole).map((area, index) => tile(area, index, value));
      map.replaceChildren(...tiles);
      if (tiles.length === 0) map.append(make('p', { className: 'empty' }, 'No files.'));
      else tiles[0].tabIndex = 0;
    };
    for (const choice of choices) choice.addEventListener('change', draw);
    new ResizeObserver(() => {
      if (map.clientWidth !== width) draw();
    }).observe(map);
    map.addEventListener('keydown', move);
    draw();
  }

  function place(element, { x, y, width, height }) {
    Object.assign(element.style, {
      left: `${x}px`,
      top: `${y}px`,
      width: `${width}px`,
      height: `${height}px`,
    });
  }

  function tile({ name, members, size, ...area }, index, kind) {
    const files = members.length === 1 ? '1 file' : `${members.length} files`;
    const element = make('button', {
      type: 'button',
      tabIndex: -1,
      className: `hue${index % 8}`,
      title: `${name}, ${sizeText(size)}, ${files}`,
    });
    place(element, area);
    const hasLabel = area.width > 44 && area.height > 22;
    const text = make('b', { className: hasLabel ? '' : 'unseen' }, name);
    text.append(
      make('span', {}, ` ${sizeText(size)}`),
      make('span', { className: 'unseen' }, `, ${files}`),
    );
    element.append(text);
    const inner = { x: 3, y: 23, width: area.width - 8, height: area.height - 28 };
    if (hasLabel && inner.width > 30 && inner.height > 12 && members.length > 1) {
      const largest = [...members].sort((a, b) => b.size - a.size);
      const parts = largest.slice(0, FILES);
      const rest = largest.slice(FILES);
      if (rest.length > 0) parts.push({ path: `${rest.length} more`, size: sumOf(rest) });
      parts.sort((a, b) => b.size - a.size);
      const within = make('span', {}, ...areas(parts, inner).map(part));
      within.setAttribute('aria-hidden', 'true');
      element.append(within);
    } else if (members.every(({ isUnused }) => isUnused)) {
      element.classList.add('unused');
    }
    element.addEventListener('click', () => list.setGroup(`${kind} ${name}`, members));
    return element;
  }

  function part({ path, size, isUnused, ...area }) {
    const name = path.slice(path.lastIndexOf('/') + 1);
    const element = make('i', { title: `${path}, ${sizeText(size)}` });
    if (isUnused) element.className = 'unused';
    place(element, {
      ...area,
      width: Math.max(0, area.width - 2),
      height: Math.max(0, area.height - 2),
    });
    if (area.width > 40 && area.height > 16) element.textContent = name;
    return element;
  }

  /** Arrow keys lead to the nearest area in their direction. */
  function move(event) {
    const direction = {
      ArrowRight: [1, 0],
      ArrowLeft: [-1, 0],
      ArrowDown: [0, 1],
      ArrowUp: [0, -1],
    }[event.key];
    const from = event.target.closest('#map button');
    if (!direction || !from) return;
    event.preventDefault();
    const middle = (element) => {
      const { left, top, width, height } = element.getBoundingClientRect();
      return [left + width / 2, top + height / 2];
    };
    const [x, y] = middle(from);
    let nearest;
    let least = Number.POSITIVE_INFINITY;
    for (const other of from.parentElement.children) {
      const [dx, dy] = middle(other).map((at, axis) => at - [x, y][axis]);
      const along = dx * direction[0] + dy * direction[1];
      const across = Math.abs(dx * direction[1]) + Math.abs(dy * direction[0]);
      if (along <= 1 || along + 2 * across >= least) continue;
      least = along + 2 * across;
      nearest = other;
    }
    if (!nearest) return;
    from.tabIndex = -1;
    nearest.tabIndex = 0;
    nearest.focus();
  }

  /** Areas in proportion to sizes, by the squarified layout (Bruls, Huizing, van Wijk, 2000). */
  function areas(parts, whole) {
    const total = sumOf(parts);
    if (total === 0 || whole.width <= 0 || whole.height <= 0) return [];
    const scale = (whole.width * whole.height) / total;
    const rest = parts.map((item) => ({ ...item, area: item.size * scale }));
    const placed = [];
    let { x, y, width, height } = whole;
    let at = 0;
    while (at < rest.length) {
      const side = Math.min(width, height);
      let end = at + 1;
      while (end < rest.length && worst(rest, at, end + 1, side) <= worst(rest, at, end, side))
        end++;
      const row = rest.slice(at, end);
      const depth = row.reduce((sum, { area }) => sum + area, 0) / side;
      const isColumn = width >= height;
      let offset = 0;
      for (const { area, ...item } of row) {
        const length = depth === 0 ? 0 : area / depth;
        placed.push(
          isColumn
            ? { ...item, x, y: y + offset, width: depth, height: length }
            : { ...item, x: x + offset, y, width: length, height: depth },
        );
        offset += length;
      }
      if (isColumn) [x, width] = [x + depth, width - depth];
      else [y, height] = [y + depth, height - depth];
      at = end;
    }
    return placed;
  }

  /** The largest ratio of sides in a row, whose areas are sorted. */
  function worst(parts, from, to, side) {
    let sum = 0;
    for (let at = from; at < to; at++) sum += parts[at].area;
    const [most, least] = [parts[from].area, parts[to - 1].area];
    return Math.max((side * side * most) / (sum * sum), (sum * sum) / (side * side * least));
  }

  // The graph around one entry

  function addGraph() {
    for (const { by, number } of entries) {
      for (const { number: source, kind } of by) entries[source].needs.push({ number, kind });
    }
    const nodes = entries.filter(({ by, needs }) => by.length + needs.length > 0);
    const input = byId('node');
    if (!input || nodes.length === 0) return;
    const numbers = new Map(nodes.map((entry) => [entry.path, entry]));
    const fill = () => {
      if (byId('paths').childElementCount > 0) return;
      byId('paths').append(...nodes.map(({ path }) => make('option', { value: path })));
    };
    input.addEventListener('focus', fill);

    /** @param {boolean} isChosen whether the user chose it, who is to find the focus there */
    const show = (entry, isChosen) => {
      input.value = entry.path;
      const here = card(entry);
      const focus = byId('focus');
      focus.className = `${entry.by.length === 0 ? 'first' : ''} ${entry.needs.length === 0 ? 'last' : ''}`;
      focus.replaceChildren(
        column('Needed by', entry.by, () => connect(focus)),
        here,
        column('Needs', entry.needs, () => connect(focus)),
      );
      connect(focus);
      if (isChosen) here.focus();
    };

    const column = (heading, links, onMore) => {
      const sorted = links
        .map((link) => ({ ...link, entry: entries[link.number] }))
        .sort(
          (a, b) =>
            b.entry.needs.length - a.entry.needs.length || compare(a.entry.path, b.entry.path),
        );
      const element = make('div', {}, make('h3', {}, `${heading} (${links.length})`));
      if (links.length === 0) {
        element.append(make('p', { className: 'empty' }, 'Nothing'));
        return element;
      }
      const items = make('ul', {}, ...sorted.slice(0, NEIGHBOURS).map(item));
      element.append(items);
      const rest = sorted.slice(NEIGHBOURS);
      if (rest.length > 0) {
        const more = make('button', { type: 'button' }, `Show ${rest.length} more`);
        more.addEventListener('click', () => {
          const added = rest.map(item);
          items.append(...added);
          more.remove();
          added[0].firstChild.focus();
          onMore();
        });
        element.append(more);
      }
      return element;
    };

    const item = ({ entry, kind }) => {
      const cut = entry.path.lastIndexOf('/');
      const name = make('span', { className: 'path' }, entry.path.slice(cut + 1));
      const place = make('small', { className: 'path' }, ` ${entry.path.slice(0, cut + 1)}`);
      return make(
        'li',
        {},
        goTo(entry, make('span', {}, name, place), make('small', {}, ` ${kind}`)),
      );
    };

    const goTo = (entry, ...content) => {
      const button = make('button', { type: 'button', title: entry.path }, ...content);
      button.addEventListener('click', () => show(entry, true));
      return button;
    };

    const card = (entry) => {
      const whole = reachable([entry]);
      const alone = only(entry);
      const count = (some) =>
        `${sizeText(sumOf(some))} in ${some.length === 1 ? '1 entry' : `${some.length} entries`}`;
      const facts = make('dl');
      const add = (name, ...value) => facts.append(make('dt', {}, name), make('dd', {}, ...value));
      add('Size', sizeText(entry.size));
      if (entry.owner) add('Package', entry.owner);
      add('With what it needs', count(whole));
      add('Only for its sake', count(alone));
      if (entry.isUnused) add('Use', 'unused');
      const inTable = make('a', { href: `#${entry.row.id}` }, 'in the table');
      inTable.addEventListener('click', () => list.reveal(entry.row));
      const chain = chainTo(entry);
      const why = make(
        'ol',
        {},
        ...chain.map(({ entry: at, kind }) =>
          make(
            'li',
            {},
            at === entry
              ? make('span', { className: 'path' }, at.path)
              : goTo(at, make('span', { className: 'path' }, at.path)),
            ` ${kind}`,
          ),
        ),
      );
      const element = make(
        'div',
        { id: 'here', tabIndex: -1 },
        make('h3', { className: 'path' }, entry.path),
        facts,
        make('h3', {}, 'Why it is there'),
        why,
        make('p', {}, inTable),
      );
      element.setAttribute('role', 'group');
      element.setAttribute('aria-label', entry.path);
      return element;
    };

    input.addEventListener('change', () => {
      const entry = numbers.get(input.value);
      if (entry) show(entry, false);
    });
    document.addEventListener('click', ({ target }) => {
      if (!target.matches?.('.go')) return;
      show(entries[Number(target.closest('tr').id.slice(1))], true);
      byId('dependencies').scrollIntoView();
    });
    const isNode = new Map(nodes.map(({ row, path }) => [row, path]));
    list.onShown((row) => {
      const path = isNode.get(row);
      if (path === undefined) return;
      const go = make('button', { type: 'button', className: 'go', title: 'Dependencies' }, '⇄');
      go.setAttribute('aria-label', `Dependencies of ${path}`);
      row.cells[0].append(go);
    });
    new ResizeObserver(() => connect(byId('focus'))).observe(byId('focus'));
    const first = nodes.reduce((best, entry) => {
      const isRequested = ({ kind }) => (kind === 'requested' ? 1 : 0);
      const better =
        isRequested(entry) - isRequested(best) || entry.needs.length - best.needs.length;
      return better > 0 ? entry : best;
    });
    show(first, false);
  }

  /** Everything that is needed from some entries on, with these. */
  function reachable(from, without) {
    const found = new Set(from);
    for (const { needs } of found) {
      for (const { number } of needs) if (entries[number] !== without) found.add(entries[number]);
    }
    return [...found];
  }

  /** What would not be there without an entry. */
  function only(entry) {
    const roots = entries.filter(
      (other) => other !== entry && (other.hasOwnReason || other.by.length === 0),
    );
    const others = new Set(reachable(roots, entry));
    return reachable([entry]).filter((other) => !others.has(other));
  }

  /** The shortest way from what is there for a reason of its own to an entry. */
  function chainTo(entry) {
    const next = new Map([[entry, undefined]]);
    let start = entry;
    for (const at of next.keys()) {
      start = at;
      if (at.hasOwnReason || at.by.length === 0) break;
      for (const { number, kind } of at.by) {
        const source = entries[number];
        if (!next.has(source)) next.set(source, { entry: at, kind });
      }
    }
    const chain = [{ entry: start, kind: start.hasOwnReason ? ownReason(start) : '' }];
    for (let link = next.get(start); link; link = next.get(link.entry)) chain.push(link);
    return chain;
  }

  /** The reason that the table names first, if it is the entry's own. */
  function ownReason({ row }) {
    const [first] = row.cells[6].childNodes;
    return first?.nodeType === Node.TEXT_NODE ? first.data.split('; ')[0] : '';
  }

  /** Draws lines from the card to its neighbours. */
  function connect(focus) {
    focus.querySelector('svg')?.remove();
    const space = 'http://www.w3.org/2000/svg';
    const svg = document.createElementNS(space, 'svg');
    svg.setAttribute('aria-hidden', 'true');
    const origin = focus.getBoundingClientRect();
    const here = byId('here').getBoundingClientRect();
    const [before, , after] = focus.children;
    const line = (x1, y1, x2, y2) => {
      const path = document.createElementNS(space, 'path');
      const middle = (x1 + x2) / 2;
      path.setAttribute('d', `M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}`);
      svg.append(path);
    };
    const y = (box) => box.top + box.height / 2 - origin.top;
    for (const button of before.querySelectorAll('li button')) {
      const box = button.getBoundingClientRect();
      line(box.right - origin.left, y(box), here.left - origin.left, y(here));
    }
    for (const button of after.querySelectorAll('li button')) {
      const box = button.getBoundingClientRect();
      line(here.right - origin.left, y(here), box.left - origin.left, y(box));
    }
    focus.append(svg);
  }
})();
