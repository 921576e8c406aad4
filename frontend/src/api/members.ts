import { graphql } from "../gql";

export const MembersQuery = graphql(`
  query Members($after: Cursor) {
    members(first: 100, after: $after) {
      totalCount
      pageInfo {
        hasNextPage
        endCursor
      }
      edges {
        node {
          id
          name
          email
          role
          effectiveRole
          revision
          groups {
            id
            name
          }
        }
      }
    }
    memberGroups(first: 100) {
      edges {
        node {
          id
          name
          role
          memberCount
          revision
          members {
            id
            name
          }
        }
      }
    }
    invitations(last: 100) {
      edges {
        node {
          id
          email
          name
          role
          invitedBy
          expiresAt
          acceptedAt
          revokedAt
        }
      }
    }
  }
`);

export const UpdateMemberMutation = graphql(`
  mutation UpdateMember($input: UpdateMemberInput!) {
    updateMember(input: $input) {
      member {
        id
        role
        effectiveRole
        revision
      }
    }
  }
`);

export const RemoveMemberMutation = graphql(`
  mutation RemoveMember($input: RemoveMemberInput!) {
    removeMember(input: $input) {
      removedMemberId
    }
  }
`);

export const CreateInvitationMutation = graphql(`
  mutation CreateInvitation($input: CreateInvitationInput!) {
    createInvitation(input: $input) {
      token
      invitation {
        id
        email
        expiresAt
      }
    }
  }
`);

export const ResendInvitationMutation = graphql(`
  mutation ResendInvitation($input: ResendInvitationInput!) {
    resendInvitation(input: $input) {
      token
      invitation {
        id
        expiresAt
      }
    }
  }
`);

export const RevokeInvitationMutation = graphql(`
  mutation RevokeInvitation($input: RevokeInvitationInput!) {
    revokeInvitation(input: $input) {
      invitation {
        id
        revokedAt
      }
    }
  }
`);

export const CreateMemberGroupMutation = graphql(`
  mutation CreateMemberGroup($input: CreateMemberGroupInput!) {
    createMemberGroup(input: $input) {
      group {
        id
      }
    }
  }
`);

export const DeleteMemberGroupMutation = graphql(`
  mutation DeleteMemberGroup($input: DeleteMemberGroupInput!) {
    deleteMemberGroup(input: $input) {
      deletedGroupId
    }
  }
`);

export const AddGroupMemberMutation = graphql(`
  mutation AddGroupMember($input: AddGroupMemberInput!) {
    addGroupMember(input: $input) {
      group {
        id
        memberCount
      }
    }
  }
`);

export const RemoveGroupMemberMutation = graphql(`
  mutation RemoveGroupMember($input: RemoveGroupMemberInput!) {
    removeGroupMember(input: $input) {
      group {
        id
        memberCount
      }
    }
  }
`);
