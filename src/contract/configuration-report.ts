import type { ConfigurationReport } from './outputs.ts';
import {
  PARAMETER_KEYS,
  PARAMETERS,
  rangeOf,
  type Configuration,
  type Parameter,
  type PartialConfiguration,
  type ResolvedConfiguration,
} from './parameters.ts';

/** The answer to GET /v1/config: what is configured and where that came from, beside what is in force. */
export function configurationReport(
  configured: ResolvedConfiguration,
  stored: PartialConfiguration,
  runtime: Configuration,
): Pick<ConfigurationReport, 'parameters'> {
  const parameters = PARAMETER_KEYS.map((key) => {
    const parameter: Parameter = PARAMETERS[key];
    return {
      name: key,
      type: parameter.type,
      description: parameter.description,
      configured: configured.values[key],
      runtime: runtime[key],
      default: parameter.default,
      stored: stored[key] ?? null,
      origin: configured.origins[key],
      range: rangeOf(key),
      takesEffect: parameter.kind === 'live' ? ('now' as const) : parameter.kind,
    };
  });
  return { parameters };
}
