import type { RouteAccess, RouteEntry } from '../contract/route.ts';

/** A route of the table as fastify takes it; copied, because fastify marks what it is given. */
export function registered<R extends RouteEntry>(
  route: R,
): Pick<R, 'method' | 'url'> & {
  schema: R['schema'] & { summary: string };
  config: { access: RouteAccess };
} {
  const { method, url, access, summary } = route;
  const schema: R['schema'] & { summary: string } = {
    ...route.schema,
    summary,
    response: { ...route.schema.response },
  };
  if (schema.body === undefined) Reflect.deleteProperty(schema, 'body');
  return { method, url, schema, config: { access } };
}
