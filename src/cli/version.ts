/** Version of the package; tests hold it to package.json. */
export const VERSION = '0.1.0';
