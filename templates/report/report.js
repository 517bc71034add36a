// The page is complete without this script: it adds sorting, a filter, the map of sizes and the graph.
(() => {
  /** @param {string} id */
  const byId = (id) => document.getElementById(id);

  for (const table of document.querySelectorAll('table.sortable')) makeSortable(table);
  addFilter();
  const data = JSON.parse(byId('data')?.textContent ?? '[]');
  if (data.length > 0) {
    addMap(data);
    addGraph(data);
  }

  /** Columns are sorted by the number of their cells, or else by their text. */
  function makeSortable(table) {
    const body = table.tBodies[0];
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener('click', () => {
        const isAscending = head.getAttribute('aria-sort') !== 'ascending';
        const keyed = [...body.rows].map((row) => [keyOf(row.cells[column]), row]);
        keyed.sort(([one], [other]) => compare(one, other) * (isAscending ? 1 : -1));
        for (const other of table.tHead.rows[0].cells) other.removeAttribute('aria-sort');
        head.setAttribute('aria-sort', isAscending ? 'ascending' : 'descending');
        body.append(...keyed.map(([, row]) => row));
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

  function addFilter() {
    const filter = byId('filter');
    const table = byId('all');
    if (!filter || !table) return;
    byId('search').hidden = false;
    const rows = [...table.tBodies[0].rows].map((row) => [row.textContent.toLowerCase(), row]);
    filter.addEventListener('input', () => {
      const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const [text, row] of rows) {
        row.hidden = !words.every((word) => text.includes(word));
        if (!row.hidden) shown++;
      }
      byId('count').textContent = `${shown} of ${rows.length}`;
    });
  }

  /** Areas in proportion to sizes, by the squarified layout (Bruls, Huizing, van Wijk, 2000). */
  function addMap(entries) {
    const group = byId('group');
    byId('treemap').hidden = false;
    const keys = {
      package: ({ package: name }) => name || 'no package',
      directory: ({ path }) =>
        path
          .split('/')
          .slice(0, 4)
          .join('/')
          .replace(/\/[^/]*$/, '') || '/',
      reason: ({ kind }) => kind || 'no reason',
    };
    const draw = () => {
      const sums = new Map();
      for (const entry of entries) {
        if (entry.size === 0) continue;
        const key = keys[group.value](entry);
        sums.set(key, (sums.get(key) ?? 0) + entry.size);
      }
      const sorted = [...sums].sort((a, b) => b[1] - a[1]);
      const parts = sorted.slice(0, 60);
      const rest = sorted.slice(60).reduce((sum, [, size]) => sum + size, 0);
      if (rest > 0) parts.push([`${sorted.length - 60} more`, rest]);
      byId('map').replaceChildren(...squares(parts).map(tile));
    };
    group.addEventListener('change', draw);
    draw();
  }

  function tile({ name, size, x, y, width, height }) {
    const item = document.createElement('div');
    item.setAttribute('role', 'listitem');
    item.title = `${name}: ${sizeText(size)}`;
    item.textContent = item.title;
    Object.assign(item.style, {
      left: `${x}%`,
      top: `${y}%`,
      width: `${width}%`,
      height: `${height}%`,
    });
    return item;
  }

  function squares(parts) {
    const total = parts.reduce((sum, [, size]) => sum + size, 0);
    const areas = parts.map(([name, size]) => ({ name, size, area: (size / total) * 10000 }));
    const tiles = [];
    let [x, y, width, height] = [0, 0, 100, 100];
    while (areas.length > 0) {
      const side = Math.min(width, height);
      const row = [areas.shift()];
      while (areas.length > 0 && worst([...row, areas[0]], side) <= worst(row, side)) {
        row.push(areas.shift());
      }
      const sum = row.reduce((all, { area }) => all + area, 0);
      const depth = sum / side;
      let at = 0;
      for (const { name, size, area } of row) {
        const length = area / depth;
        tiles.push(
          width >= height
            ? { name, size, x, y: y + at, width: depth, height: length }
            : { name, size, x: x + at, y, width: length, height: depth },
        );
        at += length;
      }
      if (width >= height) [x, width] = [x + depth, width - depth];
      else [y, height] = [y + depth, height - depth];
    }
    return tiles;
  }

  /** The largest ratio of sides in a row. */
  function worst(row, side) {
    const areas = row.map(({ area }) => area);
    const sum = areas.reduce((all, area) => all + area, 0);
    const [most, least] = [Math.max(...areas), Math.min(...areas)];
    return Math.max((side * side * most) / (sum * sum), (sum * sum) / (side * side * least));
  }

  function sizeText(bytes) {
    const units = ['B', 'KiB', 'MiB', 'GiB'];
    let value = bytes;
    let unit = 0;
    while (value >= 1024 && unit < units.length - 1) {
      value /= 1024;
      unit++;
    }
    return unit === 0 ? `${value} B` : `${value.toFixed(1)} ${units[unit]}`;
  }

  /** One entry at a time: what needs it, and what it needs. */
  function addGraph(entries) {
    const needs = entries.map(() => []);
    entries.forEach(({ by }, number) => {
      for (const [source, kind] of by) needs[source].push([number, kind]);
    });
    const isNode = (number) => entries[number].by.length > 0 || needs[number].length > 0;
    const nodes = entries.map((_, number) => number).filter(isNode);
    if (nodes.length === 0) return;
    byId('focus').hidden = false;
    const numbers = new Map(nodes.map((number) => [entries[number].path, number]));
    byId('paths').append(
      ...nodes.map((number) =>
        Object.assign(document.createElement('option'), { value: entries[number].path }),
      ),
    );
    const input = byId('node');
    const show = (number) => {
      input.value = entries[number].path;
      const here = document.createElement('p');
      here.className = 'here';
      here.textContent = `${entries[number].path} (${sizeText(entries[number].size)})`;
      const middle = column('This file', [here, chain(number)]);
      byId('columns').replaceChildren(
        column('Needed by', [list(entries[number].by, show)]),
        middle,
        column('Needs', [list(needs[number], show)]),
      );
    };
    /** The shortest way from what was asked for to an entry. */
    const chain = (number) => {
      const next = new Map([[number, undefined]]);
      let start = number;
      for (const at of next.keys()) {
        start = at;
        if (entries[at].by.length === 0) break;
        for (const [source] of entries[at].by) if (!next.has(source)) next.set(source, at);
      }
      const element = document.createElement('ol');
      for (let at = start; at !== undefined; at = next.get(at)) {
        const text = `${entries[at].path}: ${entries[at].why}`;
        element.append(Object.assign(document.createElement('li'), { textContent: text }));
      }
      return element;
    };
    const list = (links, choose) => {
      const unique = [...new Map(links.map((link) => [link[0], link])).values()];
      if (unique.length === 0) {
        return Object.assign(document.createElement('p'), { textContent: 'nothing' });
      }
      const items = unique.map(([number, kind]) => {
        const button = Object.assign(document.createElement('button'), {
          type: 'button',
          textContent: `${entries[number].path} (${kind})`,
        });
        button.addEventListener('click', () => {
          choose(number);
          byId('columns').querySelector('button')?.focus();
        });
        const item = document.createElement('li');
        item.append(button);
        return item;
      });
      const element = document.createElement('ul');
      element.append(...items);
      return element;
    };
    input.addEventListener('change', () => {
      const number = numbers.get(input.value);
      if (number !== undefined) show(number);
    });
    const most = nodes.reduce((one, other) =>
      entries[other].kind === 'requested' && entries[one].kind !== 'requested' ? other : one,
    );
    show(most);
  }

  function column(heading, content) {
    const element = document.createElement('div');
    element.append(
      Object.assign(document.createElement('h3'), { textContent: heading }),
      ...content,
    );
    return element;
  }
})();
