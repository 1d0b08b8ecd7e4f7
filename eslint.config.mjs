import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

const TIME = 'Only src/base/clock.ts knows time and timers; take a Clock by constructor.';

/** Names that read the time or start a timer: banned outside src/base/clock.ts, so that tests need no sleeps. */
const timeGlobals = ['setTimeout', 'setInterval', 'setImmediate'].map((name) => ({ name, message: TIME }));
const timeProperties = [
  { object: 'Date', property: 'now', message: TIME },
  { object: 'performance', property: 'now', message: TIME },
  { object: 'process', property: 'hrtime', message: TIME },
];
const randomProperties = [
  {
    object: 'Math',
    property: 'random',
    message: 'Not a source of secrets; take a RandomSource by constructor.',
  },
  { object: 'Buffer', property: 'allocUnsafe', message: 'May carry old secrets; use Buffer.alloc.' },
];

export default defineConfig(
  { ignores: ['node_modules/', 'build/', 'out/', 'assembly/', 'web/'] },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      'no-restricted-globals': ['error', ...timeGlobals],
      'no-restricted-properties': ['error', ...timeProperties, ...randomProperties],
      'no-restricted-syntax': [
        'error',
        { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: TIME },
        { selector: "ImportDeclaration[source.value='node:timers/promises']", message: TIME },
      ],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      '@typescript-eslint/consistent-type-definitions': ['error', 'interface'],
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      eqeqeq: 'error',
      'no-console': 'error',
    },
  },
  {
    files: ['src/base/clock.ts'],
    rules: {
      'no-restricted-globals': 'off',
      'no-restricted-properties': 'off',
      'no-restricted-syntax': 'off',
    },
  },
  {
    // Tests drive real programs and benches measure: both may look at the clock, and print.
    files: ['tests/**/*.ts', 'bench/**/*.ts'],
    rules: {
      'no-restricted-globals': 'off',
      'no-restricted-properties': 'off',
      'no-restricted-syntax': 'off',
      'no-console': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/explicit-module-boundary-types': 'off',
      '@typescript-eslint/no-floating-promises': 'error',
    },
  },
  { files: ['scripts/**/*.ts'], rules: { 'no-console': 'off' } },
  { files: ['**/*.mjs'], extends: [tseslint.configs.disableTypeChecked] },
);
