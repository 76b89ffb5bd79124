/** Why a file is refused as a whole, in one line. */
export class Unsound extends Error {}
