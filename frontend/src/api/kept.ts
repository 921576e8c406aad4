import { useState } from "react";
import { type AnyVariables, type UseQueryArgs, type UseQueryResponse, useQuery } from "urql";

/** A query whose last answer stays beside the failure to get a newer one to the same question. */
export function useKept<T, V extends AnyVariables>(
  args: UseQueryArgs<V, T>,
): UseQueryResponse<T, V> {
  const [state, refetch] = useQuery<T, V>(args);
  const question = JSON.stringify(args.variables ?? null);
  const [kept, setKept] = useState<{ question: string; data: T } | null>(null);
  if (state.error) {
    const data = state.data ?? (kept?.question === question ? kept.data : undefined);
    return [{ ...state, data } as typeof state, refetch];
  }
  if (state.data && !state.fetching && (kept?.data !== state.data || kept.question !== question)) {
    setKept({ question, data: state.data });
  }
  return [state, refetch];
}
