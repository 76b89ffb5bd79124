// The database of the HTTP example: a shop's orders in SQLite. The query for the products of a
// category that earn most takes about a millisecond, like queries of a real shop.

import { DatabaseSync } from 'node:sqlite'

export const CATEGORIES = 200
const PRODUCTS = 4000
const ORDERS = 400_000
const TOP = 20
const ORDER_CENTS_MAX = 10_000

export interface Earner {
  product: string
  orders: number
  cents: number
}

/** Creates the database in a new file. `orders` is their number; tests pass a smaller one. */
export function createDatabase(path: string, orders = ORDERS): void {
  const database = new DatabaseSync(path)
  database.exec(`
    PRAGMA journal_mode = WAL;
    CREATE TABLE products (id INTEGER PRIMARY KEY, name TEXT, category INTEGER);
    CREATE TABLE orders (id INTEGER PRIMARY KEY, product INTEGER, cents INTEGER);
    BEGIN`)
  const product = database.prepare('INSERT INTO products VALUES (?, ?, ?)')
  for (let id = 0; id < PRODUCTS; id++) product.run(id, `product ${id}`, id % CATEGORIES)
  const order = database.prepare('INSERT INTO orders VALUES (?, ?, ?)')
  for (let id = 0; id < orders; id++) {
    order.run(id, (id * 7919) % PRODUCTS, (id * 104_729) % ORDER_CENTS_MAX)
  }
  database.exec(`COMMIT;
    CREATE INDEX by_category ON products (category);
    CREATE INDEX by_product ON orders (product);`)
  database.close()
}

export class Database {
  /** Queries so far. */
  queries = 0
  private readonly database: DatabaseSync
  private readonly top: ReturnType<DatabaseSync['prepare']>

  constructor(path: string) {
    this.database = new DatabaseSync(path, { readOnly: true })
    this.top = this.database.prepare(`
      SELECT name AS product, count(*) AS orders, sum(cents) AS cents
      FROM products JOIN orders ON orders.product = products.id
      WHERE category = ? GROUP BY products.id ORDER BY cents DESC LIMIT ${TOP}`)
  }

  topOf(category: number): Earner[] {
    this.queries++
    return this.top.all(category).map(({ product, orders, cents }) => ({
      product: String(product),
      orders: Number(orders),
      cents: Number(cents),
    }))
  }

  close(): void {
    this.database.close()
  }
}
